#include "cli/inspect.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "base/nearest.h"
#include "base/utf8.h"
#include "catalog/catalog.h"
#include "formats/schema.h"
#include "report/values.h"

namespace regraft {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kNone = static_cast<std::size_t>(-1);
constexpr std::size_t kListedNames = 3;  // that share a storage, in a mark
constexpr std::size_t kListedExtras = 50;

// Empty, or why `extras: keep` cannot keep it.
std::string refuses(const Catalog& catalog, const Extra& extra) {
  return catalog.extra_content
             ? catalog.extra_content->refuses(extra.place, catalog.containers.front().place)
             : "";
}
constexpr std::size_t kTextBytes = 200;  // of one metadata value
constexpr std::size_t kWidestName = 60;  // a longer one does not widen the table

// A catalog below its root, and how that was chosen.
struct Shown {
  Catalog catalog;
  bool given = false, found = false;  // neither: all of it, from the top
  std::vector<std::string> notes;     // why neither
};

// ------------------------------------------------------------------------------------------ root

std::string shell_word(const std::string& text) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:-";
  if (!text.empty() && text[0] != '-' && text.find_first_not_of(kPlain) == std::string::npos) {
    return text;
  }
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

// The paths of the containers that hold tensors, at any depth.
std::vector<std::string_view> paths_with_tensors(const Catalog& catalog) {
  std::vector<bool> holds(catalog.containers.size());
  for (const Tensor& tensor : catalog.tensors) holds[tensor.container] = true;
  for (std::size_t i = holds.size(); i-- > 1;) {
    if (holds[i]) holds[static_cast<std::size_t>(catalog.containers[i].parent)] = true;
  }
  std::vector<std::string_view> paths;
  for (std::size_t i = 1; i < holds.size(); ++i) {
    if (holds[i]) paths.push_back(catalog.containers[i].path);
  }
  return paths;
}

// A path for the hint: the first state dict below the top and outside of optimizers; empty: none.
std::string likely_root(const Catalog& catalog) {
  std::vector<bool> optimizer(catalog.containers.size());
  for (std::size_t i = 0; i < optimizer.size(); ++i) {
    const Container& container = catalog.containers[i];
    optimizer[i] =
        container.optimizer || (i > 0 && optimizer[static_cast<std::size_t>(container.parent)]);
    const bool state_dict = container.mapping && container.tensors > container.entries / 2;
    if (state_dict && !optimizer[i] && !container.path.empty()) return container.path;
  }
  return {};
}

// select_root() speaks of the spec; here the remedy is an option.
Diagnostic root_error(Diagnostic problem, const Catalog& catalog, const InspectOptions& options) {
  if (catalog.tensors.empty()) return problem;
  if (!options.root) {
    if (problem.code == Code::root_ambiguous || problem.code == Code::root_not_found) {
      const std::string likely = likely_root(catalog);
      problem.hint =
          likely.empty() ? "" : "choose one with --root, as in --root " + shell_word(likely) + "; ";
      problem.hint += "--root '' takes all names from the top";
    }
  } else if (problem.code == Code::root_not_found) {
    const std::string similar = nearest(*options.root, paths_with_tensors(catalog));
    problem.hint = similar.empty() ? "leave out --root to see all that is there"
                                   : "did you mean --root " + shell_word(similar) + "?";
  }
  return problem;
}

Result<Shown> choose_root(Catalog catalog, const InspectOptions& options) {
  std::vector<std::string> roots;
  if (options.root) roots.push_back(*options.root);
  Result<Catalog> selected = select_root(catalog, roots);
  if (selected) {
    return Shown{std::move(selected).value(), options.root.has_value(), !options.root, {}};
  }
  Diagnostic problem = root_error(std::move(selected).error(), catalog, options);
  const bool show = !options.keys && !options.schema && (!options.root || catalog.tensors.empty());
  if (!show) return problem;

  Shown shown;
  shown.notes.push_back(problem.message);
  for (const Note& note : problem.notes) shown.notes.push_back(note.message);
  if (!problem.hint.empty()) shown.notes.push_back(problem.hint);
  shown.catalog = std::move(catalog);
  return shown;
}

// --------------------------------------------------------------------------------------- sharing

// A view may state any number of elements over few bytes; a sum that goes past the end stays there.
std::uint64_t saturating_add(std::uint64_t a, std::uint64_t b) {
  return a > ~std::uint64_t{0} - b ? ~std::uint64_t{0} : a + b;
}

// Which tensors are one view, and which lie in one storage.
class Sharing {
 public:
  explicit Sharing(const Catalog& catalog) : catalog_(catalog), first_(catalog.tensors.size()) {
    std::unordered_map<std::string, std::size_t> seen;
    for (std::size_t i = 0; i < first_.size(); ++i) {
      const Tensor& tensor = catalog.tensors[i];
      first_[i] = i;
      if (!tensor.unsupported.empty()) continue;
      first_[i] = seen.try_emplace(view_key(tensor), i).first->second;
      if (first_[i] == i) views_[tensor.storage].push_back(i);
    }
  }

  // The first tensor that is this same view; kNone when it is this one.
  [[nodiscard]] std::size_t tied_to(std::size_t tensor) const {
    return first_[tensor] == tensor ? kNone : first_[tensor];
  }
  // The first tensor of each other view of its storage, at most `most` of them.
  [[nodiscard]] std::vector<std::size_t> others(std::size_t tensor, std::size_t most) const {
    std::vector<std::size_t> result;
    const auto views = views_.find(catalog_.tensors[tensor].storage);
    if (views == views_.end()) return result;
    for (const std::size_t other : views->second) {
      if (result.size() == most) break;
      if (other != first_[tensor]) result.push_back(other);
    }
    return result;
  }
  [[nodiscard]] std::size_t count_others(std::size_t tensor) const {
    const auto views = views_.find(catalog_.tensors[tensor].storage);
    return views == views_.end() ? 0 : views->second.size() - 1;
  }
  [[nodiscard]] std::size_t storages() const { return views_.size(); }
  [[nodiscard]] std::uint64_t storage_bytes() const {
    std::uint64_t bytes = 0;
    for (const auto& [storage, unused] : views_) {
      bytes = saturating_add(bytes, catalog_.storages[storage].nbytes);
    }
    return bytes;
  }

 private:
  // Equal for two tensors exactly when tied() holds.
  static std::string view_key(const Tensor& tensor) {
    return std::to_string(tensor.storage) + " " + std::to_string(tensor.offset) + " " +
           to_string(tensor.shape) + to_string(tensor.strides) + std::string(name(tensor.dtype)) +
           (tensor.conj ? " conj" : "") + (tensor.neg ? " neg" : "");
  }

  const Catalog& catalog_;
  std::vector<std::size_t> first_;
  std::map<std::uint32_t, std::vector<std::size_t>> views_;  // by storage, each view once
};

struct Totals {
  std::uint64_t parameters = 0, bytes = 0;  // each view once
  std::size_t tied = 0, unsupported = 0;
  std::map<std::string_view, std::size_t> dtypes;
};

Totals totals_of(const Catalog& catalog, const Sharing& sharing) {
  Totals totals;
  for (std::size_t i = 0; i < catalog.tensors.size(); ++i) {
    const Tensor& tensor = catalog.tensors[i];
    if (!tensor.unsupported.empty()) {
      ++totals.unsupported;
      continue;
    }
    ++totals.dtypes[name(tensor.dtype)];
    if (sharing.tied_to(i) != kNone) {
      ++totals.tied;
      continue;
    }
    totals.bytes = saturating_add(totals.bytes, nbytes(tensor));
    totals.parameters = saturating_add(totals.parameters,
                                       static_cast<std::uint64_t>(numel(tensor.shape).value_or(0)));
  }
  return totals;
}

// By tensor. A tied one has the values of the first.
Result<std::vector<TensorValues>> read_values(const Checkpoint& checkpoint, const Catalog& catalog,
                                              const Sharing& sharing,
                                              const InspectOptions& options) {
  std::vector<TensorValues> values;
  if (!options.values) return values;
  values.reserve(catalog.tensors.size());
  for (std::size_t i = 0; i < catalog.tensors.size(); ++i) {
    if (const std::size_t first = sharing.tied_to(i); first != kNone) {
      values.push_back(values[first]);
      continue;
    }
    REGRAFT_TRY(TensorValues read,
                tensor_values(*checkpoint.reader, catalog.tensors[i], options.cancelled));
    values.push_back(std::move(read));
  }
  return values;
}

struct Contents {
  const Shown& shown;
  const Sharing& sharing;
  const Totals& totals;
  const std::vector<TensorValues>& values;  // empty without --values
  const InspectOptions& options;
};

// ------------------------------------------------------------------------------------------ text

std::string grouped(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, ",");
  return digits;
}

std::string count_of(std::uint64_t count, const std::string& what) {
  return grouped(count) + " " + what + (count == 1 ? "" : "s");
}

// Not printf: its point is a comma in some locales.
std::string number_text(double number) {
  std::array<char, 32> text;
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), number, std::chars_format::general, 6);
  return std::string(text.data(), end.ptr);
}
std::string number_text(std::int64_t number) { return std::to_string(number); }
std::string number_text(std::uint64_t number) { return std::to_string(number); }

std::string text_of(const std::optional<Number>& number) {
  if (!number) return "-";
  return std::visit([](auto held) { return number_text(held); }, *number);
}

// Columns on a terminal: bytes that begin a character.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

// A name as a cell of a table: one that is empty has to be seen, too.
std::string name_cell(const std::string& name) { return name.empty() ? "''" : printable(name); }

struct Column {
  std::string title;
  bool right = false;  // numbers
};

std::string table(const std::vector<Column>& columns,
                  const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < columns.size(); ++c) {
    std::size_t width = columns[c].title.size();
    for (const auto& row : rows) {
      const std::size_t wanted = width_of(row[c]);
      if (wanted <= kWidestName) width = std::max(width, wanted);
    }
    widths.push_back(width);
  }
  std::string out;
  const auto add_row = [&](const auto& cell) {
    std::string line;
    for (std::size_t c = 0; c < columns.size(); ++c) {
      const std::string& text = cell(c);
      const std::size_t used = width_of(text);
      const std::string padding(used < widths[c] ? widths[c] - used : 0, ' ');
      line += (c == 0 ? "" : "  ") + (columns[c].right ? padding + text : text + padding);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  };
  add_row([&](std::size_t c) -> const std::string& { return columns[c].title; });
  for (const auto& row : rows) {
    add_row([&](std::size_t c) -> const std::string& { return row[c]; });
  }
  return out;
}

class TextWriter {
 public:
  explicit TextWriter(const Contents& contents)
      : contents_(contents), catalog_(contents.shown.catalog), options_(contents.options) {}

  std::string write() {
    header();
    if (!catalog_.tensors.empty()) tensors();
    if (options_.values && !catalog_.tensors.empty()) values();
    module_metadata();
    metadata();
    extras();
    if (!catalog_.remarks.empty()) {
      title("remarks");
      for (const std::string& remark : catalog_.remarks) out_ += "  " + printable(remark) + "\n";
    }
    return std::move(out_);
  }

 private:
  std::string bold(const std::string& text) const {
    return options_.color ? "\x1b[1m" + text + "\x1b[0m" : text;
  }
  void title(const std::string& text) { out_ += "\n" + bold(text) + "\n"; }
  void field(const std::string& name, const std::string& text) {
    out_ += "  " + name + std::string(name.size() < 12 ? 12 - name.size() : 1, ' ') + text + "\n";
  }

  void header() {
    const Totals& totals = contents_.totals;
    out_ += bold(printable(catalog_.path)) + "\n";
    field("format", catalog_.format + ", " + count_of(catalog_.file_bytes, "byte"));
    field("root", root());
    std::string tensors = grouped(catalog_.tensors.size());
    if (totals.tied > 0) tensors += ", of which " + grouped(totals.tied) + " tied to another";
    if (totals.unsupported > 0) {
      tensors += ", of which " + grouped(totals.unsupported) + " cannot be carried";
    }
    field("tensors", tensors);
    field("parameters", parameters());
    if (catalog_.has_values) {
      field("bytes", grouped(totals.bytes) + ", in " +
                         count_of(contents_.sharing.storages(), "storage") + " of " +
                         count_of(contents_.sharing.storage_bytes(), "byte"));
    } else {
      field("bytes", grouped(totals.bytes) + ", none of them in this file");
    }
    std::string dtypes;
    for (const auto& [dtype, count] : totals.dtypes) {
      dtypes += (dtypes.empty() ? "" : ", ") + std::string(dtype) + " " + grouped(count);
    }
    if (!dtypes.empty()) field("dtypes", dtypes);
    const std::vector<std::string>& notes = contents_.shown.notes;
    for (std::size_t i = 0; i < notes.size(); ++i) {
      out_ += (i == 0 ? "note: " : "      ") + printable(notes[i]) + "\n";
    }
  }

  std::string root() const {
    const std::string& path = catalog_.containers.empty() ? "" : catalog_.containers[0].path;
    const std::string shown = path.empty() ? "the top" : printable(path);
    if (contents_.shown.found) return shown + " (found automatically)";
    if (contents_.shown.given) return shown + " (given)";
    return "not settled; names are from the top";
  }

  std::string parameters() const {
    const std::uint64_t count = contents_.totals.parameters;
    std::string text = grouped(count);
    if (count == ~std::uint64_t{0}) text = "2^64 or more";
    std::array<char, 32> digits;
    const double millions = static_cast<double>(count) / 1e6;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), millions,
                                   std::chars_format::fixed, millions < 1 ? 3 : 1);
    text += " (" + std::string(digits.data(), end.ptr) + " M)";
    if (contents_.totals.tied > 0) text += ", tied ones counted once";
    return text;
  }

  void tensors() {
    std::vector<std::vector<std::string>> rows;
    rows.reserve(catalog_.tensors.size());
    for (std::size_t i = 0; i < catalog_.tensors.size(); ++i) {
      const Tensor& tensor = catalog_.tensors[i];
      const bool known = tensor.unsupported.empty();
      rows.push_back({name_cell(tensor.name), known ? std::string(name(tensor.dtype)) : "-",
                      known || !tensor.shape.empty() ? to_string(tensor.shape) : "-",
                      known ? grouped(nbytes(tensor)) : "-", marks(i)});
    }
    out_ += "\n" + table({{"name"}, {"dtype"}, {"shape"}, {"bytes", true}, {""}}, rows);
  }

  std::string marks(std::size_t index) const {
    const Tensor& tensor = catalog_.tensors[index];
    std::vector<std::string> marks;
    if (!tensor.unsupported.empty()) {
      marks.push_back("unsupported: " + printable(tensor.unsupported));
    } else {
      if (const std::size_t first = contents_.sharing.tied_to(index); first != kNone) {
        marks.push_back("tied to " + name_cell(catalog_.tensors[first].name));
      } else if (std::string view = view_mark(index); !view.empty()) {
        marks.push_back(std::move(view));
      }
      if (!is_contiguous(tensor.shape, tensor.strides)) {
        marks.push_back("strided " + to_string(tensor.strides));
      }
    }
    if (tensor.parameter) marks.emplace_back("parameter");
    if (tensor.requires_grad && !tensor.parameter) marks.emplace_back("requires grad");
    if (tensor.parameter && !tensor.requires_grad) marks.emplace_back("no grad");
    if (tensor.conj) marks.emplace_back("conjugate bit");
    if (tensor.neg) marks.emplace_back("negative bit");
    std::string text;
    for (const std::string& mark : marks) text += (text.empty() ? "" : ", ") + mark;
    return text;
  }

  // "view of 12 of 40 bytes of data/3 (shared with Y)"; empty for the only view of a whole storage.
  std::string view_mark(std::size_t index) const {
    const Tensor& tensor = catalog_.tensors[index];
    const Storage& storage = catalog_.storages[tensor.storage];
    const auto [begin, end] = byte_extent(tensor);
    const std::size_t count = contents_.sharing.count_others(index);
    if (end - begin == storage.nbytes && count == 0) return {};
    std::string text =
        (end - begin == storage.nbytes ? "view of all "
                                       : "view of " + grouped(end - begin) + " of ") +
        count_of(storage.nbytes, "byte") + " of " +
        (storage.key.empty() ? "storage " + std::to_string(tensor.storage)
                             : printable(storage.key));
    if (count == 0) return text;
    text += " (shared with ";
    const auto others = contents_.sharing.others(index, options_.verbose ? count : kListedNames);
    for (std::size_t i = 0; i < others.size(); ++i) {
      text += (i == 0 ? "" : ", ") + printable(catalog_.tensors[others[i]].name);
    }
    if (others.size() < count) text += " and " + grouped(count - others.size()) + " more";
    return text + ")";
  }

  void values() {
    title("values (min, max, mean and l2 of the finite numbers)");
    std::vector<std::vector<std::string>> rows;
    std::string without;
    for (std::size_t i = 0; i < catalog_.tensors.size(); ++i) {
      const std::string shown = name_cell(catalog_.tensors[i].name);
      const TensorValues& read = contents_.values[i];
      if (contents_.sharing.tied_to(i) != kNone) continue;  // the table of tensors says whose
      if (!read.absent.empty()) {
        without += "none of " + shown + ": " + printable(read.absent) + "\n";
        continue;
      }
      rows.push_back(row(read.complex ? shown + " (real)" : shown, read.real));
      if (read.complex) rows.push_back(row(shown + " (imaginary)", read.imaginary));
    }
    out_ += table({{"name"},
                   {"min", true},
                   {"max", true},
                   {"mean", true},
                   {"l2", true},
                   {"nan", true},
                   {"inf", true},
                   {"zeros", true}},
                  rows);
    out_ += without;
  }

  static std::vector<std::string> row(const std::string& name, const NumberStatistics& read) {
    return {name,
            text_of(read.min),
            text_of(read.max),
            read.mean ? number_text(*read.mean) : "-",
            number_text(read.l2),
            grouped(read.nan),
            grouped(read.inf),
            grouped(read.zeros)};
  }

  // Versions as counts, since a state dict has one entry for each of its modules.
  void module_metadata() {
    for (std::size_t i = 0; i < catalog_.containers.size(); ++i) {
      const Container& container = catalog_.containers[i];
      if (container.metadata.empty()) continue;
      title(i == 0 ? "_metadata" : "_metadata of " + printable(container.path));
      std::map<std::string, std::size_t> counts;
      for (const ModuleMetadata& module : container.metadata) {
        std::string entries;
        for (const auto& [key, value] : module.ints) {
          entries += (entries.empty() ? "" : ", ") + printable(key) + " " + std::to_string(value);
        }
        ++counts[entries.empty() ? "no version" : entries];
      }
      out_ += "  " + count_of(container.metadata.size(), "module") + ": ";
      std::string summary;
      for (const auto& [entries, count] : counts) {
        summary += (summary.empty() ? "" : "; ") + entries + " in " + grouped(count);
      }
      out_ += summary + "\n";
    }
  }

  void metadata() {
    if (catalog_.metadata.empty()) return;
    title("metadata");
    for (const auto& [key, value] : catalog_.metadata) {
      std::string text = printable(value);
      if (!options_.verbose && value.size() > kTextBytes) {
        text = printable(std::string_view(value).substr(0, whole_characters(value, kTextBytes))) +
               "... (" + count_of(value.size(), "byte") + "; --json has all)";
      }
      out_ += "  " + printable(key) + ": " + text + "\n";
    }
  }

  // The largest length up to `most` that ends between two characters.
  static std::size_t whole_characters(std::string_view text, std::size_t most) {
    while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xC0) == 0x80) --most;
    return most;
  }

  void extras() {
    const std::vector<Extra>& extras = catalog_.extras;
    if (extras.empty()) return;
    title("beside the tensors");
    const std::size_t shown =
        options_.verbose || extras.size() <= kListedExtras ? extras.size() : kListedExtras;
    for (std::size_t i = 0; i < shown; ++i) {
      out_ += "  " + (extras[i].path.empty() ? "(the top)" : printable(extras[i].path)) + ": " +
              printable(extras[i].summary);
      if (const std::string why = refuses(catalog_, extras[i]); !why.empty())
        out_ += "  cannot be kept: " + printable(why);
      out_ += "\n";
    }
    if (shown < extras.size()) {
      out_ += "  and " + grouped(extras.size() - shown) + " more; --json has all\n";
    }
  }

  const Contents& contents_;
  const Catalog& catalog_;
  const InspectOptions& options_;
  std::string out_;
};

// ------------------------------------------------------------------------------------------ JSON

// JSON is UTF-8 and names are bytes: where they differ, the text for a person and the bytes in hex.
void put_text(Json& object, const std::string& key, std::string_view bytes) {
  if (find_invalid_utf8(bytes) == std::string_view::npos) {
    object[key] = bytes;
  } else {
    object[key] = printable(bytes);
    object[key + "_bytes"] = hex(bytes);
  }
}

Json json_of(const std::optional<Number>& number) {
  if (!number) return nullptr;
  return std::visit([](auto held) { return Json(held); }, *number);
}

Json json_of(const NumberStatistics& read) {
  Json object = Json::object();
  object["count"] = read.count;
  object["min"] = json_of(read.min);
  object["max"] = json_of(read.max);
  object["mean"] = read.mean ? Json(*read.mean) : Json(nullptr);
  object["l2"] = std::isfinite(read.l2) ? Json(read.l2) : Json(nullptr);
  object["nan"] = read.nan;
  object["inf"] = read.inf;
  object["zeros"] = read.zeros;
  return object;
}

Json json_of(const TensorValues& values) {
  Json object = Json::object();
  if (!values.absent.empty()) {
    put_text(object, "absent", values.absent);
    return object;
  }
  if (!values.complex) return json_of(values.real);
  object["real"] = json_of(values.real);
  object["imaginary"] = json_of(values.imaginary);
  return object;
}

// One document, an entry of a list a line: good to read, to compare and to grep.
class JsonWriter {
 public:
  explicit JsonWriter(const Contents& contents)
      : contents_(contents), catalog_(contents.shown.catalog) {}

  std::string write() {
    put_file();
    put("root", root());
    put("totals", totals());
    put_list("notes", contents_.shown.notes,
             [](const std::string& note) { return text_item(note); });
    std::size_t index = 0;
    put_list("tensors", catalog_.tensors, [&](const Tensor&) { return tensor(index++); });
    put_list("storages", catalog_.storages, storage);
    put_list("containers", catalog_.containers, container);
    put_list("metadata", catalog_.metadata, [](const auto& entry) {
      Json object = Json::object();
      put_text(object, "key", entry.first);
      put_text(object, "value", entry.second);
      return object;
    });
    put_list("extras", catalog_.extras, [&](const Extra& extra) {
      Json object = Json::object();
      put_text(object, "path", extra.path);
      put_text(object, "summary", extra.summary);
      const std::string why = refuses(catalog_, extra);
      object["can_be_kept"] = catalog_.extra_content && why.empty();
      if (!why.empty()) put_text(object, "why_not", why);
      if (extra.optimizer) put_text(object, "optimizer", *extra.optimizer);
      return object;
    });
    put_list("remarks", catalog_.remarks,
             [](const std::string& remark) { return text_item(remark); });
    return "{" + out_ + "\n}\n";
  }

 private:
  static Json text_item(const std::string& text) {
    return find_invalid_utf8(text) == std::string::npos ? text : printable(text);
  }

  void put(const std::string& key, const Json& value) {
    out_ += (out_.empty() ? "\n  " : ",\n  ") + Json(key).dump() + ": " + value.dump();
  }
  template <typename Item, typename Convert>
  void put_list(const std::string& key, const std::vector<Item>& items, Convert convert) {
    out_ += ",\n  " + Json(key).dump() + ": [";
    for (std::size_t i = 0; i < items.size(); ++i) {
      out_ += (i == 0 ? "\n    " : ",\n    ") + convert(items[i]).dump();
    }
    out_ += items.empty() ? "]" : "\n  ]";
  }

  void put_file() {
    put("regraft_inspect", 1);
    Json object = Json::object();
    put_text(object, "path", catalog_.path);
    put_text(object, "format", catalog_.format);
    for (const auto& [key, value] : object.items()) put(key, value);
    put("file_bytes", catalog_.file_bytes);
    put("metadata_digest", "sha256:" + hex(catalog_.metadata_digest));
    put("has_values", catalog_.has_values);
  }

  Json root() const {
    Json object = Json::object();
    put_text(object, "path", catalog_.containers.empty() ? "" : catalog_.containers[0].path);
    object["chosen"] = contents_.shown.given   ? "given"
                       : contents_.shown.found ? "automatically"
                                               : "none";
    return object;
  }

  Json totals() const {
    const Totals& totals = contents_.totals;
    Json object = Json::object();
    object["tensors"] = catalog_.tensors.size();
    object["tied"] = totals.tied;
    object["unsupported"] = totals.unsupported;
    object["parameters"] = totals.parameters;
    object["bytes"] = totals.bytes;
    object["storages"] = contents_.sharing.storages();
    object["storage_bytes"] = contents_.sharing.storage_bytes();
    Json dtypes = Json::object();
    for (const auto& [dtype, count] : totals.dtypes) dtypes[std::string(dtype)] = count;
    object["dtypes"] = std::move(dtypes);
    return object;
  }

  Json tensor(std::size_t index) const {
    const Tensor& tensor = catalog_.tensors[index];
    Json object = Json::object();
    put_text(object, "name", tensor.name);
    if (!tensor.unsupported.empty()) {
      // Its dtype, where it is plain, is in the text: what is in `dtype` may be the default.
      put_text(object, "unsupported", tensor.unsupported);
      if (!tensor.shape.empty()) object["shape"] = tensor.shape;
    } else {
      object["dtype"] = name(tensor.dtype);
      object["shape"] = tensor.shape;
      object["bytes"] = nbytes(tensor);
      object["storage"] = tensor.storage;
      object["offset"] = tensor.offset;
      object["strides"] = tensor.strides;
      object["contiguous"] = is_contiguous(tensor.shape, tensor.strides);
      if (const std::size_t first = contents_.sharing.tied_to(index); first != kNone) {
        put_text(object, "tied_to", catalog_.tensors[first].name);
      }
    }
    object["container"] = tensor.container;
    object["parameter"] = tensor.parameter;
    object["requires_grad"] = tensor.requires_grad;
    object["conj"] = tensor.conj;
    object["neg"] = tensor.neg;
    if (!contents_.values.empty()) object["values"] = json_of(contents_.values[index]);
    return object;
  }

  static Json storage(const Storage& storage) {
    Json object = Json::object();
    put_text(object, "key", storage.key);
    object["bytes"] = storage.nbytes;
    object["file_offset"] = storage.offset;
    object["crc32"] = storage.crc32 ? Json(*storage.crc32) : Json(nullptr);
    return object;
  }

  static Json container(const Container& container) {
    Json object = Json::object();
    put_text(object, "path", container.path);
    object["parent"] = container.parent < 0 ? Json(nullptr) : Json(container.parent);
    object["kind"] = container.mapping ? "mapping" : "list";
    object["optimizer"] = container.optimizer;
    object["entries"] = container.entries;
    object["tensors"] = container.tensors;
    Json modules = Json::array();
    for (const ModuleMetadata& module : container.metadata) {
      Json entry = Json::object();
      put_text(entry, "module", module.module);
      Json entries = Json::array();
      for (const auto& [key, value] : module.ints) {
        Json pair = Json::object();
        put_text(pair, "key", key);
        pair["value"] = value;
        entries.push_back(std::move(pair));
      }
      entry["entries"] = std::move(entries);
      modules.push_back(std::move(entry));
    }
    object["module_metadata"] = std::move(modules);
    return object;
  }

  const Contents& contents_;
  const Catalog& catalog_;
  std::string out_;
};

// Bytes as they are, ready for `keep: {exact: [...]}`; a line each, so control characters are
// shown.
std::string keys_of(const Catalog& catalog) {
  std::string out;
  for (const Tensor& tensor : catalog.tensors) {
    const bool control = std::any_of(tensor.name.begin(), tensor.name.end(), [](char c) {
      return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    });
    out += (control ? printable(tensor.name) : tensor.name) + "\n";
  }
  return out;
}

Status check_options(const InspectOptions& options) {
  if (options.keys + options.json + options.schema > 1) {
    return error(Code::usage, {}, "--keys, --json and --schema exclude each other",
                 "--json has what the others have");
  }
  if (options.values && (options.keys || options.schema)) {
    return error(Code::usage, {},
                 std::string("--values has no place in the output of ") +
                     (options.keys ? "--keys" : "--schema"),
                 "give --values alone or with --json");
  }
  return Done{};
}

}  // namespace

Result<std::string> inspect(const InspectOptions& options) {
  REGRAFT_CHECK(check_options(options));
  REGRAFT_TRY(const Checkpoint checkpoint, open_checkpoint(options.path, options.limits));
  if (options.values && (!checkpoint.reader || !checkpoint.catalog.has_values)) {
    return error(Code::usage, file_location(options.path),
                 "--values reads tensors, and a schema has names, shapes and dtypes only",
                 "leave out --values, or give the checkpoint that the schema was made from");
  }
  REGRAFT_TRY(const Shown shown, choose_root(checkpoint.catalog, options));
  if (options.keys) return keys_of(shown.catalog);
  if (options.schema) {
    if (const std::string* name = unwritable_name(shown.catalog))
      return error(
          Code::cannot_write, file_location(options.path),
          "YAML has no spelling for the name " + quoted(*name) + ", so a schema would hold another",
          "give the checkpoint itself as the target");
    return write_schema(shown.catalog);
  }

  const Sharing sharing(shown.catalog);
  const Totals totals = totals_of(shown.catalog, sharing);
  REGRAFT_TRY(const std::vector<TensorValues> values,
              read_values(checkpoint, shown.catalog, sharing, options));
  if (checkpoint.reader) REGRAFT_CHECK(checkpoint.reader->file()->unchanged());
  const Contents contents{shown, sharing, totals, values, options};
  return options.json ? JsonWriter(contents).write() : TextWriter(contents).write();
}

}  // namespace regraft
