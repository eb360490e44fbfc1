// Which formats there are, and what a file is that is none of them.
#include <algorithm>
#include <array>
#include <cctype>

#include "formats/format.h"

namespace regraft {
namespace {

using namespace std::string_view_literals;

// What a file looks like, and how to get a checkpoint from it.
struct Look {
  std::string what;  // "a gzip archive"
  std::string hint;
};

struct Magic {
  std::size_t offset;
  std::string_view bytes;
  std::string_view what;
  std::string_view hint;
};

constexpr std::string_view kUnpack = "unpack it first, and give the checkpoint that is inside";
constexpr std::string_view kDownload =
    "the download gave a page in place of the file; open the link in a browser to see why";

// The formats are asked before: a safetensors file begins with a number, whose bytes may be those
// of a short magic.
constexpr std::array kMagics = {
    Magic{0, "version https://git-lfs.github.com/spec/"sv, "a git-LFS pointer",
          "the file itself was not fetched: run `git lfs pull` in its repository"},
    // A pickled long, 0x1950a86a20f9469cfc6c: torch.save before torch 1.6 begins with it.
    Magic{0, "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e"sv,
          "a checkpoint in torch's legacy format, from before torch 1.6",
          "load it with torch and save it again: torch.save writes a zip file unless "
          "_use_new_zipfile_serialization=False is given"},
    Magic{0, "\x89PNG\r\n\x1a\n"sv, "a PNG image", ""},
    Magic{0, "\xff\xd8\xff"sv, "a JPEG image", ""},
    Magic{0, "GIF8"sv, "a GIF image", ""},
    Magic{0, "%PDF-"sv, "a PDF document", ""},
    Magic{0, "\x1f\x8b"sv, "a gzip archive", kUnpack},
    Magic{0, "BZh"sv, "a bzip2 archive", kUnpack},
    Magic{0, "\xfd\x37zXZ\0"sv, "an xz archive", kUnpack},
    Magic{0, "\x28\xb5\x2f\xfd"sv, "a zstd archive", kUnpack},
    Magic{0, "7z\xbc\xaf\x27\x1c"sv, "a 7z archive", kUnpack},
    Magic{0, "Rar!\x1a\x07"sv, "a RAR archive", kUnpack},
    Magic{257, "ustar"sv, "a tar archive", kUnpack},
    Magic{0,
          "\x7f"
          "ELF"sv,
          "an ELF program or library", ""},
    Magic{0, "\x89HDF\r\n\x1a\n"sv, "an HDF5 file",
          "read it with h5py or Keras and save the tensors as safetensors"},
    Magic{0, "GGUF"sv, "a GGUF file", "get the checkpoint that it was converted from"},
    Magic{0, "\x93NUMPY"sv, "a NumPy array", "save it in a dict with torch.save or safetensors"},
    Magic{4, "TFL3"sv, "a TensorFlow Lite model", "get the checkpoint that it was converted from"},
    Magic{0, "SQLite format 3\0"sv, "an SQLite database", ""},
};

bool starts_with_ignoring_case(std::string_view text, std::string_view lower) {
  return text.size() >= lower.size() &&
         std::equal(lower.begin(), lower.end(), text.begin(), [](char a, char b) {
           return a == std::tolower(static_cast<unsigned char>(b));
         });
}

std::string_view without_leading_space(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  return begin == std::string_view::npos ? std::string_view() : text.substr(begin);
}

// What only one kind of file begins with.
std::optional<Look> certain_look(std::string_view head) {
  for (const Magic& magic : kMagics) {
    if (head.size() >= magic.offset && head.substr(magic.offset).starts_with(magic.bytes)) {
      return Look{std::string(magic.what), std::string(magic.hint)};
    }
  }
  const std::string_view text = without_leading_space(head);
  if (starts_with_ignoring_case(text, "<!doctype html") ||
      starts_with_ignoring_case(text, "<html")) {
    return Look{"an HTML page", std::string(kDownload)};
  }
  if (starts_with_ignoring_case(text, "<?xml")) return Look{"XML", std::string(kDownload)};
  return std::nullopt;
}

bool is_text(std::string_view head) {
  return std::none_of(head.begin(), head.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t' && c != '\n' && c != '\r' && c != '\f') || byte == 0x7f;
  });
}

// What it seems to be, when no format and no suffix speaks for anything.
Look likely_look(std::string_view path, std::string_view head) {
  if (head.size() >= 2 && head[0] == '\x80' && static_cast<unsigned char>(head[1]) <= 5) {
    return {"a pickle without the zip file that torch.save puts around it",
            "load it where it was made and save the tensors with torch.save or safetensors"};
  }
  if (path.ends_with(".onnx")) {
    return {"an ONNX model", "get the checkpoint that it was exported from"};
  }
  if (std::all_of(head.begin(), head.end(), [](char c) { return c == '\0'; })) {
    return {"nothing but zero bytes", "the download is not complete; get it again"};
  }
  if (is_text(head)) {
    const std::string_view text = without_leading_space(head);
    if (text.starts_with('{') || text.starts_with('[')) {
      return {"JSON", "a target schema in JSON has to have the suffix .json"};
    }
    return {"text", "a target schema in YAML has to have the suffix .yaml or .yml"};
  }
  return {};
}

bool has_suffix(std::string_view path, const Format& format) {
  const auto suffixes = format.suffixes();
  return std::any_of(suffixes.begin(), suffixes.end(), [&](std::string_view suffix) {
    return path.size() > suffix.size() && path.ends_with(suffix);
  });
}

// The reader that is to open the file, or the error that says what the file is instead.
Result<const Format*> format_of(const InputFile& file) {
  const std::string& path = file.path();
  if (file.size() == 0) {
    return error(Code::not_a_checkpoint, file_location(path), "an empty file is no checkpoint",
                 "the file was not written or not downloaded completely; get it again");
  }
  REGRAFT_TRY(const std::string head,
              file.read_string(0, std::min<std::uint64_t>(file.size(), 4096)));
  const Format& schema = schema_format();
  for (const Format* format : all_formats()) {
    if (format != &schema && format->recognises(file, head)) return format;
  }
  // A zip file that lost its end is still one, and its own reader says best what is missing.
  if (head.starts_with("PK\x03\x04"sv) || head.starts_with("PK\x05\x06"sv)) {
    return &torch_zip_format();
  }
  std::optional<Look> look = certain_look(head);
  if (!look) {
    // From here on the name decides: a damaged safetensors file has nothing to be recognised by,
    // and a schema is text like any other.
    if (schema.recognises(file, head)) return &schema;
    if (has_suffix(path, safetensors_format())) return &safetensors_format();
    look = likely_look(path, head);
  }
  if (look->what.empty()) {
    return error(
        Code::not_a_checkpoint, file_location(path), "the file is no checkpoint of a known kind",
        "what can be read: files of torch.save and torch.jit.save, safetensors, target schemas");
  }
  return error(Code::not_a_checkpoint, file_location(path),
               "the file is no checkpoint: it looks like " + look->what, look->hint);
}

}  // namespace

std::span<const Format* const> all_formats() {
  // TorchScript before the other zip files, any of which torch_zip_format() takes.
  static const std::array<const Format*, 4> formats = {&torchscript_format(), &torch_zip_format(),
                                                       &safetensors_format(), &schema_format()};
  return formats;
}

Result<Checkpoint> open_checkpoint(const std::string& path, const Limits& limits) {
  REGRAFT_TRY(std::shared_ptr<InputFile> file, InputFile::open(path));
  REGRAFT_TRY(const Format* format, format_of(*file));
  return format->open(std::move(file), limits);
}

Result<const Format*> format_for_output(const std::string& path) {
  std::string known;
  for (const Format* format : all_formats()) {
    if (format->writer() == nullptr) {
      if (!has_suffix(path, *format)) continue;
      return error(Code::usage, file_location(path),
                   "a file of the format " + std::string(format->name()) + " cannot be written");
    }
    if (has_suffix(path, *format)) return format;
    for (const std::string_view suffix : format->suffixes()) {
      known += (known.empty() ? "" : ", ") + std::string(suffix);
    }
  }
  return error(Code::usage, file_location(path), "the output's suffix does not say a format",
               "known are " + known);
}

}  // namespace regraft
