// Documents that the program prints about itself.
#pragma once

#include <string>
#include <string_view>

namespace regraft::cli {

// JSON Schema of "spec", "report", "plan" or "target".
std::string schema_document(std::string_view what);
// A page of docs/, as Markdown: "diagnostics" or "language".
std::string reference_document(std::string_view what);

}  // namespace regraft::cli
