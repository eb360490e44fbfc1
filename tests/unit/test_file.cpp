#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "catch.h"
#include "formats/file.h"
#include "formats/format.h"

namespace regraft {
namespace {

// A folder of its own that goes away with its content.
class Folder {
 public:
  Folder() {
    std::string pattern = std::filesystem::temp_directory_path() / "regraft-file-XXXXXX";
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string path(const std::string& name) const { return path_ + "/" + name; }
  std::string write(const std::string& name, std::string_view bytes) const {
    std::ofstream(path(name), std::ios::binary)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return path(name);
  }

 private:
  std::string path_;
};

std::shared_ptr<InputFile> opened(const std::string& path) {
  auto file = InputFile::open(path);
  if (!file.ok()) FAIL(render(file.error(), false));
  return std::move(file).value();
}

Diagnostic open_error(const std::string& path) {
  auto file = InputFile::open(path);
  REQUIRE_FALSE(file.ok());
  CHECK(file.error().code == Code::file_open);
  return std::move(file).error();
}

TEST_CASE("a file is read by offset") {
  const Folder folder;
  const auto file = opened(folder.write("a", "0123456789"));
  CHECK(file->size() == 10);
  CHECK(file->read_string(3, 4).value() == "3456");
  CHECK(file->read_string(10, 0).value().empty());
  CHECK(file->unchanged().ok());
  for (const auto& [offset, length] : {std::pair<std::uint64_t, std::uint64_t>{3, 8},
                                       {11, 0},
                                       {0, ~std::uint64_t{0}},
                                       {~std::uint64_t{0}, 2}}) {
    const auto text = file->read_string(offset, length);
    REQUIRE_FALSE(text.ok());
    CHECK(text.error().code == Code::file_read);
  }
  std::byte buffer[4];
  CHECK(file->read(6, buffer).ok());
  CHECK_FALSE(file->read(7, buffer).ok());
  CHECK_FALSE(file->read(~std::uint64_t{0}, buffer).ok());
}

TEST_CASE("a file that shrinks is an error") {
  const Folder folder;
  const std::string path = folder.write("a", "0123456789");
  const auto file = opened(path);
  REQUIRE(truncate(path.c_str(), 5) == 0);
  const auto text = file->read_string(2, 8);
  REQUIRE_FALSE(text.ok());
  CHECK(text.error().code == Code::file_read);
  CHECK(text.error().message ==
        "the file shrank while it was read: it had 10 bytes and now ends at or before 5");
  const Status status = file->unchanged();
  REQUIRE_FALSE(status.ok());
  CHECK(status.error().code == Code::file_changed);
  CHECK(status.error().message == "the file changed during the run: it had 10 bytes and has 5");
}

TEST_CASE("changes of a file are noticed") {
  const Folder folder;
  const std::string path = folder.write("a", "0123456789");
  const auto file = opened(path);
  const auto message = [&] {
    const Status status = file->unchanged();
    return status.ok() ? std::string() : status.error().message;
  };
  CHECK(message().empty());
  SECTION("written to, of the same size") {
    const timespec times[2] = {{1, 0}, {1, 0}};
    REQUIRE(utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
    CHECK(message() == "the file changed during the run: it was written to");
  }
  SECTION("replaced") {
    std::filesystem::rename(folder.write("b", "0123456789"), path);
    CHECK(message() == "the file changed during the run: another file took its place");
  }
  SECTION("removed") {
    std::filesystem::remove(path);
    CHECK(message() == "the file changed during the run: No such file or directory");
  }
}

TEST_CASE("what is no regular file is refused by what it is") {
  const Folder folder;
  CHECK(open_error(folder.path("")).message == "cannot open: it is a folder");
  REQUIRE(mkfifo(folder.path("fifo").c_str(), 0600) == 0);
  CHECK(open_error(folder.path("fifo")).message == "cannot open: it is a FIFO");
  CHECK(open_error("/dev/null").message == "cannot open: it is a character device");

  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = folder.path("s");
  REQUIRE(path.size() < sizeof(address.sun_path));
  path.copy(address.sun_path, path.size());
  REQUIRE(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  CHECK(open_error(path).message == "cannot open: it is a socket");
  close(fd);
}

TEST_CASE("files that cannot be opened") {
  const Folder folder;
  folder.write("model.pt", "x");
  const Diagnostic missing = open_error(folder.path("modle.pt"));
  CHECK(missing.message == "cannot open: No such file or directory");
  CHECK(missing.hint == "did you mean '" + folder.path("model.pt") + "'?");
  CHECK(open_error(folder.path("something else")).hint == "check the path");
  CHECK(open_error(folder.path("model.pt/a")).message == "cannot open: Not a directory");
  CHECK(open_error(std::string("a\0b", 3)).message == "cannot open: a path has no zero bytes");
  std::filesystem::create_symlink("loop", folder.path("loop"));
  CHECK(open_error(folder.path("loop")).hint == "its symbolic links lead in a circle");
}

TEST_CASE("too many open files are said to be that") {
  const Folder folder;
  const std::string path = folder.write("a", "x");
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  const int lowest = dup(0);  // the next descriptor
  REQUIRE(lowest >= 0);
  close(lowest);
  const rlimit none{static_cast<rlim_t>(lowest), before.rlim_max};
  REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
  const Diagnostic fault = open_error(path);
  REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(fault.message == "cannot open: Too many open files");
  CHECK(fault.hint == "too many files are open; raise the limit with ulimit -n");
}

TEST_CASE("files of other kinds are named") {
  using namespace std::string_view_literals;
  const Folder folder;
  const auto complaint = [&](std::string_view bytes, const std::string& name = "a.pt") {
    const auto result = open_checkpoint(folder.write(name, bytes));
    REQUIRE_FALSE(result.ok());
    CHECK(result.error().code == Code::not_a_checkpoint);
    CHECK(result.error().where.file == folder.path(name));
    return result.error();
  };
  CHECK(complaint("").message == "an empty file is no checkpoint");
  CHECK(complaint("", "a.safetensors").message == "an empty file is no checkpoint");
  const std::string no = "the file is no checkpoint: it looks like ";
  CHECK(complaint("\n <!DOCTYPE html><html>").message == no + "an HTML page");
  CHECK(complaint("<HTML>").message == no + "an HTML page");
  CHECK(complaint("<html>", "a.safetensors").message == no + "an HTML page");
  CHECK(complaint("<?xml version='1.0'?><Error/>").message == no + "XML");
  CHECK(complaint("\x89PNG\r\n\x1a\n..."sv).message == no + "a PNG image");
  CHECK(complaint("\x89PNG\r\n\x1a\n..."sv, "a.yaml").message == no + "a PNG image");
  CHECK(complaint("\xff\xd8\xff\xe0"sv).message == no + "a JPEG image");
  CHECK(complaint("\x1f\x8b\x08\0"sv).message == no + "a gzip archive");
  CHECK(complaint("7z\xbc\xaf\x27\x1c\0\4"sv).message == no + "a 7z archive");
  CHECK(complaint(std::string(257, 'a') + "ustar").message == no + "a tar archive");
  CHECK(complaint("\x7f"
                  "ELF\2\1\1")
            .message == no + "an ELF program or library");
  CHECK(complaint("\x89HDF\r\n\x1a\n"sv).message == no + "an HDF5 file");
  CHECK(complaint("GGUF\3\0\0\0"sv).message == no + "a GGUF file");
  CHECK(complaint("\x93NUMPY\1\0"sv).message == no + "a NumPy array");
  const Diagnostic lfs = complaint("version https://git-lfs.github.com/spec/v1\noid sha256:00\n");
  CHECK(lfs.message == no + "a git-LFS pointer");
  CHECK(lfs.hint.find("`git lfs pull`") != std::string::npos);
  const Diagnostic legacy =
      complaint("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e\x80\x02"sv);
  CHECK(legacy.message == no + "a checkpoint in torch's legacy format, from before torch 1.6");
  CHECK(legacy.hint.find("_use_new_zipfile_serialization") != std::string::npos);
  CHECK(complaint("\x80\x04}\x94."sv).message ==
        no + "a pickle without the zip file that torch.save puts around it");
  CHECK(complaint("\x08\x07\x12\x07pytorch"sv, "a.onnx").message == no + "an ONNX model");
  CHECK(complaint(std::string(5000, '\0')).message == no + "nothing but zero bytes");
  CHECK(complaint(" {\"a\": 1}").message == no + "JSON");
  CHECK(complaint("hello\n").message == no + "text");
  CHECK(complaint("\x01\x02\x03\xfe"sv).message == "the file is no checkpoint of a known kind");

  const auto missing = open_checkpoint(folder.path("none"));
  REQUIRE_FALSE(missing.ok());
  CHECK(missing.error().code == Code::file_open);
}

TEST_CASE("a zip file without its end is left to the zip reader") {
  using namespace std::string_view_literals;
  const Folder folder;
  const auto result = open_checkpoint(folder.write("a.pt", "PK\x03\x04\0\0\x08\x08"sv));
  REQUIRE_FALSE(result.ok());
  CHECK(result.error().code == Code::zip_corrupt);
}

TEST_CASE("a damaged safetensors file is known by its suffix") {
  const Folder folder;
  for (const std::string_view bytes :
       {"abc", "\xff\xff\xff\xff\xff\xff\xff\xff{}", "hello world"}) {
    const auto result = open_checkpoint(folder.write("a.safetensors", bytes));
    REQUIRE_FALSE(result.ok());
    CHECK(result.error().code == Code::safetensors_corrupt);
  }
}

TEST_CASE("an output's suffix says its format") {
  CHECK(format_for_output("out/a.safetensors").value()->name() == "safetensors");
  for (const std::string suffix : {".pt", ".pth", ".bin", ".ckpt"}) {
    CHECK(format_for_output("a" + suffix).value()->name() == "torch-zip");
  }
  const auto unknown = format_for_output("a.txt");
  REQUIRE_FALSE(unknown.ok());
  CHECK(unknown.error().code == Code::usage);
  CHECK(unknown.error().hint == "known are .pt, .pth, .bin, .ckpt, .safetensors");
  CHECK_FALSE(format_for_output(".pt").ok());  // no name, only a suffix
  const auto schema = format_for_output("a.yaml");
  REQUIRE_FALSE(schema.ok());
  CHECK(schema.error().message == "a file of the format schema cannot be written");
}

}  // namespace
}  // namespace regraft
