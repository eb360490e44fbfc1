#include "report/facts.h"

#include <algorithm>
#include <limits>
#include <map>

namespace regraft {
namespace {

bool absolute(std::string_view path) { return path.starts_with('/'); }

std::string_view without_last_slashes(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  return path;
}

// Whether a path that ends here could go on: `/a/b` is no part of `/a/bc`.
bool goes_on(char c) {
  return c == '_' || c == '-' || c == '/' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
         (c >= 'A' && c <= 'Z') || static_cast<unsigned char>(c) >= 0x80;
}

}  // namespace

std::string shown_path(std::string_view path) {
  if (!absolute(path)) return std::string(path);
  path = without_last_slashes(path);
  return path.size() == 1 ? std::string(path) : std::string(path.substr(path.rfind('/') + 1));
}

PathScrubber::PathScrubber(const Report& report) {
  std::vector<std::string_view> paths = {report.spec_path, report.output_path};
  if (report.inputs)
    for (const Catalog* catalog : report.inputs->all()) paths.push_back(catalog->path);
  if (report.diagnostics)
    for (const Diagnostic& diagnostic : report.diagnostics->items()) {
      paths.push_back(diagnostic.where.path());
      for (const Note& note : diagnostic.notes) paths.push_back(note.where.path());
    }
  std::map<std::string, std::string> found;
  for (std::string_view path : paths) {
    path = without_last_slashes(path);
    if (!absolute(path) || path.size() == 1) continue;
    found.emplace(path, shown_path(path));
    // Its folder is named when that is not there, or when a file beside it is meant.
    const std::string_view folder = path.substr(0, path.rfind('/'));
    if (folder.empty()) continue;
    found.emplace(folder, shown_path(folder));
    found.emplace(std::string(folder) + "/", "");
  }
  replacements_.assign(found.begin(), found.end());
  std::stable_sort(replacements_.begin(), replacements_.end(),
                   [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
}

std::string PathScrubber::operator()(std::string_view text) const {
  if (replacements_.empty()) return std::string(text);
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    bool replaced = false;
    for (const auto& [path, shown] : replacements_) {
      if (text[i] != '/' || !text.substr(i).starts_with(path)) continue;
      const std::size_t end = i + path.size();
      if (!path.ends_with('/') && end < text.size() && goes_on(text[end])) continue;
      out += shown;
      i = end;
      replaced = true;
      break;
    }
    if (!replaced) out += text[i++];
  }
  return out;
}

std::vector<std::uint32_t> StepChains::up_to(std::uint32_t last) {
  std::vector<std::uint32_t> chain;
  if (last >= steps_.size()) return chain;
  ++calls_;
  std::vector<std::uint32_t> open = {last};
  seen_[last] = calls_;
  while (!open.empty()) {
    const std::uint32_t at = open.back();
    open.pop_back();
    chain.push_back(at);
    for (const std::uint32_t parent : steps_[at].parents) {
      if (parent >= steps_.size() || seen_[parent] == calls_) continue;
      seen_[parent] = calls_;
      open.push_back(parent);
    }
  }
  // Rules run in order, so their order is the way from the source.
  std::sort(chain.begin(), chain.end(), [&](std::uint32_t a, std::uint32_t b) {
    return std::pair(steps_[a].rule, a) < std::pair(steps_[b].rule, b);
  });
  return chain;
}

std::uint64_t permille(std::uint64_t part, std::uint64_t whole) {
  if (part >= whole) return 1000;
  // 64 bits are enough for what tensors have; beyond, the last digits do not count.
  while (whole > std::numeric_limits<std::uint64_t>::max() / 1000) {
    part /= 2;
    whole /= 2;
  }
  return std::min<std::uint64_t>(part * 1000 / whole, 999);
}

}  // namespace regraft
