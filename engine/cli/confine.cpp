#include "cli/confine.h"

#include <cstdlib>
#include <string_view>

#include "base/system.h"
#include "cli/library_folders.h"

#ifdef __linux__
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#endif

namespace regraft::cli {

#ifdef __linux__
namespace {

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash == 0 ? 1 : slash);
}

// ---- Landlock ----
// The kernel's interface in its own words: a distribution's headers may be older than its kernel.

constexpr long kCreateRuleset = 444, kAddRule = 445, kRestrictSelf = 446;

struct RulesetAttributes {
  std::uint64_t files = 0;   // rights that are denied where no rule gives them
  std::uint64_t net = 0;     // from version 4 on
  std::uint64_t scoped = 0;  // from version 6 on
};
struct [[gnu::packed]] PathBeneath {
  std::uint64_t allowed;
  std::int32_t parent;
};

constexpr std::uint64_t kExecute = 1 << 0, kWriteFile = 1 << 1, kReadFile = 1 << 2,
                        kReadDir = 1 << 3, kRemoveDir = 1 << 4, kRemoveFile = 1 << 5,
                        kMakeChar = 1 << 6, kMakeDir = 1 << 7, kMakeReg = 1 << 8,
                        kMakeSock = 1 << 9, kMakeFifo = 1 << 10, kMakeBlock = 1 << 11,
                        kMakeSym = 1 << 12, kRefer = 1 << 13, kTruncate = 1 << 14;
constexpr std::uint64_t kMaking =
    kRemoveDir | kMakeChar | kMakeDir | kMakeSock | kMakeFifo | kMakeBlock | kMakeSym;
constexpr std::uint64_t kOfFiles = kWriteFile | kReadFile | kTruncate;
constexpr std::uint64_t kNet = 3;     // bind, connect
constexpr std::uint64_t kScoped = 3;  // abstract sockets, signals

// The version of its interface; 0 where there is none.
int landlock_version() {
  const long version = ::syscall(kCreateRuleset, nullptr, 0, 1);
  return version > 0 ? static_cast<int>(version) : 0;
}

// A set of rules while it is made.
class Ruleset {
 public:
  Ruleset(int version, std::uint64_t files, bool also_calls) : files_(files) {
    if (version < 2) files_ &= ~kRefer;
    if (version < 3) files_ &= ~kTruncate;
    RulesetAttributes attributes{.files = files_};
    if (also_calls && version >= 4) attributes.net = kNet;
    if (also_calls && version >= 6) attributes.scoped = kScoped;
    const std::size_t size = version >= 6   ? sizeof attributes
                             : version >= 4 ? offsetof(RulesetAttributes, scoped)
                                            : offsetof(RulesetAttributes, net);
    fd_ = static_cast<int>(::syscall(kCreateRuleset, &attributes, size, 0));
  }
  ~Ruleset() {
    if (fd_ >= 0) ::close(fd_);
  }
  Ruleset(const Ruleset&) = delete;
  Ruleset& operator=(const Ruleset&) = delete;

  // What the path leads to, with what is below it. What is not there needs no right.
  void allow(const std::string& path, std::uint64_t rights) {
    const int file = uninterrupted([&] { return ::open(path.c_str(), O_PATH | O_CLOEXEC); });
    if (file < 0) {
      // Any other reason, and a right would be missing where it is needed.
      whole_ = whole_ && (errno == ENOENT || errno == ENOTDIR || errno == EACCES ||
                          errno == ELOOP || errno == ENAMETOOLONG);
      return;
    }
    struct stat status{};
    if (::fstat(file, &status) == 0 && !S_ISDIR(status.st_mode)) rights &= kOfFiles;
    const PathBeneath rule{rights & files_, file};
    if (rule.allowed != 0 && ::syscall(kAddRule, fd_, 1, &rule, 0) != 0) whole_ = false;
    ::close(file);
  }

  // False: nothing is confined.
  bool enforce() { return whole_ && fd_ >= 0 && ::syscall(kRestrictSelf, fd_, 0) == 0; }

 private:
  std::uint64_t files_;
  int fd_ = -1;
  bool whole_ = true;
};

// ---- seccomp ----

#if defined(__x86_64__)
#define REGRAFT_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define REGRAFT_ARCH AUDIT_ARCH_AARCH64
#endif

#ifdef REGRAFT_ARCH
constexpr std::uint32_t kDenied = SECCOMP_RET_ERRNO | EPERM;
constexpr std::uint32_t kNotThere = SECCOMP_RET_ERRNO | ENOSYS;

constexpr sock_filter statement(std::uint16_t code, std::uint32_t value) {
  return {code, 0, 0, value};
}

// Sockets, programs, processes, other processes' memory, and what changes the machine. io_uring
// would do all of it past the filter.
constexpr auto kForbidden = std::to_array<std::uint32_t>({
    __NR_socket,       __NR_socketpair,      __NR_connect,          __NR_bind,
    __NR_listen,       __NR_accept,          __NR_accept4,          __NR_execve,
    __NR_execveat,     __NR_ptrace,          __NR_process_vm_readv, __NR_process_vm_writev,
    __NR_pidfd_getfd,  __NR_io_uring_setup,  __NR_io_uring_enter,   __NR_io_uring_register,
    __NR_bpf,          __NR_perf_event_open, __NR_userfaultfd,      __NR_mount,
    __NR_umount2,      __NR_move_mount,      __NR_open_tree,        __NR_fsopen,
    __NR_fsmount,      __NR_pivot_root,      __NR_chroot,           __NR_setns,
    __NR_unshare,      __NR_init_module,     __NR_finit_module,     __NR_delete_module,
    __NR_kexec_load,   __NR_keyctl,          __NR_add_key,          __NR_request_key,
    __NR_swapon,       __NR_swapoff,         __NR_reboot,           __NR_sethostname,
    __NR_settimeofday, __NR_clock_settime,   __NR_personality,
#ifdef __x86_64__
    __NR_fork,         __NR_vfork,
#endif
});

bool confine_calls() {
  constexpr std::uint32_t kNumber = offsetof(seccomp_data, nr),
                          kArch = offsetof(seccomp_data, arch),
                          kFlags = offsetof(seccomp_data, args[0]);
  constexpr std::uint32_t kCloneThread = 0x10000;
  std::vector<sock_filter> filter = {
      statement(BPF_LD | BPF_W | BPF_ABS, kArch),
      {BPF_JMP | BPF_JEQ | BPF_K, 1, 0, REGRAFT_ARCH},
      statement(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      statement(BPF_LD | BPF_W | BPF_ABS, kNumber),
#ifdef __x86_64__
      // The x32 calls have numbers of their own.
      {BPF_JMP | BPF_JGE | BPF_K, 0, 1, 0x40000000},
      statement(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
#endif
  };
  for (const std::uint32_t number : kForbidden) {
    filter.push_back({BPF_JMP | BPF_JEQ | BPF_K, 0, 1, number});
    filter.push_back(statement(BPF_RET | BPF_K, kDenied));
  }
  // Threads are made by clone3, whose flags a filter cannot see, or else by clone.
  filter.push_back({BPF_JMP | BPF_JEQ | BPF_K, 0, 1, __NR_clone3});
  filter.push_back(statement(BPF_RET | BPF_K, kNotThere));
  filter.push_back({BPF_JMP | BPF_JEQ | BPF_K, 0, 3, __NR_clone});
  filter.push_back(statement(BPF_LD | BPF_W | BPF_ABS, kFlags));
  filter.push_back({BPF_JMP | BPF_JSET | BPF_K, 1, 0, kCloneThread});
  filter.push_back(statement(BPF_RET | BPF_K, kDenied));
  filter.push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  return ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}
#else
bool confine_calls() { return false; }
#endif

}  // namespace

Confinement::Confinement() {
  const char* said = std::getenv("REGRAFT_CONFINEMENT");
  off_ = said != nullptr && std::string_view(said) == "off";
}

void Confinement::confine_writes(const std::vector<std::string>& outputs) {
  // Without this neither of the two may be used.
  if (off_ || ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return;
  landlock_ = landlock_version();
  if (landlock_ > 0) {
    Ruleset rules(landlock_,
                  kExecute | kWriteFile | kRemoveFile | kMakeReg | kRefer | kTruncate | kMaking,
                  true);
    for (const std::string& output : outputs) {
      if (output.empty()) continue;  // there is none
      rules.allow(folder_of(output), kWriteFile | kRemoveFile | kMakeReg | kRefer | kTruncate);
      rules.allow(output, kWriteFile | kTruncate);  // a device, or what /dev/stdout leads to
    }
    rules.allow("/dev/null", kWriteFile);
    writes_ = rules.enforce();
  }
  calls_ = confine_calls();
}

void Confinement::confine_reads(const std::vector<std::string>& inputs,
                                const std::vector<std::string>& folders,
                                const std::vector<std::string>& outputs) {
  if (off_ || landlock_ == 0) return;
  constexpr std::uint64_t kReading = kReadFile | kReadDir;
  Ruleset rules(landlock_, kReading, false);
  for (const std::string& input : inputs) {
    rules.allow(input, kReading);
    rules.allow(folder_of(input), kReading);
  }
  for (const std::string& folder : folders) rules.allow(folder.empty() ? "." : folder, kReading);
  for (const std::string& output : outputs)
    if (!output.empty()) rules.allow(folder_of(output), kReading);
  for (const std::string& folder : library_folders()) rules.allow(folder, kReading);
  for (const char* path :
       {"/proc/cpuinfo", "/proc/meminfo", "/proc/self", "/sys/devices/system/cpu",
        "/sys/devices/system/node", "/dev/null", "/dev/urandom"})
    rules.allow(path, kReading);
  reads_ = rules.enforce();
}

std::string Confinement::describe() const {
  if (off_) return "not confined: REGRAFT_CONFINEMENT is off";
  if (!writes_ && !calls_) return "not confined: the kernel has neither Landlock nor seccomp";
  std::string text = "confined:";
  if (writes_)
    text += std::string(" files by Landlock ") + std::to_string(landlock_) +
            (reads_ ? " (written: where outputs go; read: inputs, their folders, libraries)"
                    : " (written: where outputs go)");
  if (calls_)
    text += std::string(writes_ ? ";" : "") + " calls by seccomp (no sockets, no programs)";
  if (!writes_) text += "; the kernel has no Landlock";
  if (!calls_) text += "; no seccomp";
  return text;
}

#else

Confinement::Confinement() = default;
void Confinement::confine_writes(const std::vector<std::string>&) {}
void Confinement::confine_reads(const std::vector<std::string>&, const std::vector<std::string>&,
                                const std::vector<std::string>&) {}
std::string Confinement::describe() const { return "not confined: this is not Linux"; }

#endif

}  // namespace regraft::cli
