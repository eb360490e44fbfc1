// Linux only, and only the program: what a checkpoint's bytes could make a reader do, the process
// is no longer allowed to. No file is written but where the output goes, none is read but the
// inputs with their folders and libraries, nothing is started, no socket is opened.
//
// Landlock: https://docs.kernel.org/userspace-api/landlock.html. Where the kernel has none, or not
// the newer rights, it goes on with what there is.
#pragma once

#include <string>
#include <vector>

namespace regraft::cli {

class Confinement {
 public:
  // Nothing, when REGRAFT_CONFINEMENT is `off`: for debuggers and profilers.
  Confinement();

  // No sockets, no other programs, no other processes; files are made, changed and removed only in
  // the folders of `outputs`. Call it before any file is opened, from the only thread.
  void confine_writes(const std::vector<std::string>& outputs);
  // Reading: what `inputs` lead to and everything in their folders; everything below `folders`; the
  // folders of `outputs`; and what LibTorch and its plug-in need to be loaded.
  void confine_reads(const std::vector<std::string>& inputs,
                     const std::vector<std::string>& folders,
                     const std::vector<std::string>& outputs);

  // "confined: ...", what is active, for --verbose.
  [[nodiscard]] std::string describe() const;

 private:
  bool off_ = false;
  int landlock_ = 0;  // the version of the kernel's; 0: none
  bool writes_ = false, reads_ = false, calls_ = false;
};

}  // namespace regraft::cli
