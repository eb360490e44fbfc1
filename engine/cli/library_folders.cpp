#include "cli/library_folders.h"

#include <elf.h>

#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>

#include "cli/torch_plugin.h"
#include "formats/file.h"

namespace regraft::cli {
namespace {

std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> parts;
  while (!list.empty()) {
    const std::size_t colon = std::min(list.find(':'), list.size());
    if (colon > 0) parts.emplace_back(list.substr(0, colon));
    list.remove_prefix(std::min(colon + 1, list.size()));
  }
  return parts;
}

template <typename T>
std::optional<T> read(const InputFile& file, std::uint64_t offset) {
  T value;
  if (!file.read(offset, std::as_writable_bytes(std::span(&value, 1)))) return std::nullopt;
  return value;
}

// DT_RUNPATH or DT_RPATH of a library of this machine; empty if it has none. elf(5).
std::string run_path(const InputFile& file) {
  const auto header = read<Elf64_Ehdr>(file, 0);
  if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
      header->e_ident[EI_CLASS] != ELFCLASS64)
    return {};
  std::vector<Elf64_Phdr> segments;
  for (std::uint64_t i = 0; i < header->e_phnum; ++i)
    if (const auto segment = read<Elf64_Phdr>(file, header->e_phoff + i * sizeof(Elf64_Phdr)))
      segments.push_back(*segment);
  const auto offset_of = [&](std::uint64_t address) -> std::uint64_t {
    for (const Elf64_Phdr& segment : segments)
      if (segment.p_type == PT_LOAD && address >= segment.p_vaddr &&
          address - segment.p_vaddr < segment.p_filesz)
        return address - segment.p_vaddr + segment.p_offset;
    return file.size();
  };
  std::optional<std::uint64_t> names, path;
  for (const Elf64_Phdr& segment : segments) {
    if (segment.p_type != PT_DYNAMIC) continue;
    for (std::uint64_t at = 0; at + sizeof(Elf64_Dyn) <= segment.p_filesz;
         at += sizeof(Elf64_Dyn)) {
      const auto entry = read<Elf64_Dyn>(file, segment.p_offset + at);
      if (!entry || entry->d_tag == DT_NULL) break;
      if (entry->d_tag == DT_STRTAB) names = entry->d_un.d_ptr;
      if (entry->d_tag == DT_RUNPATH || (entry->d_tag == DT_RPATH && !path))
        path = entry->d_un.d_val;
    }
  }
  if (!names || !path) return {};
  const std::uint64_t begin = offset_of(*names) + *path;
  if (begin >= file.size()) return {};
  const auto text = file.read_string(begin, std::min<std::uint64_t>(4096, file.size() - begin));
  return text ? text->substr(0, text->find('\0')) : std::string();
}

void add_plugin(std::vector<std::string>& folders) {
  const auto path = torch_plugin_path();
  if (!path) return;
  const std::string own = path->substr(0, path->rfind('/') + 1);
  folders.push_back(own);
  const auto file = InputFile::open(*path);
  if (!file) return;
  for (std::string folder : split(run_path(**file))) {
    for (const std::string_view origin : {"$ORIGIN", "${ORIGIN}"})
      if (folder.starts_with(origin)) folder.replace(0, origin.size(), own);
    folders.push_back(folder);
    // A wheel's libraries stand beside those of the wheels that it needs.
    if (folder.ends_with("/torch/lib")) folders.push_back(folder + "/../..");
  }
}

}  // namespace

std::vector<std::string> library_folders() {
  std::vector<std::string> folders = {"/lib",       "/lib64",         "/usr/lib",
                                      "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache"};
  if (const char* list = std::getenv("LD_LIBRARY_PATH"))
    for (std::string& folder : split(list)) folders.push_back(std::move(folder));
  add_plugin(folders);
  return folders;
}

}  // namespace regraft::cli
