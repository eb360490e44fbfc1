// regraft with LibTorch: a checkpoint into a torch::nn::Module, and tensors computed by LibTorch.
//
//   regraft::load_state_dict(*net, "old.pt", regraft::MigrationSpec::from_file("migrate.yaml"))
//       .or_throw();
#pragma once

#include <regraft/regraft.h>

#include <memory>
#include <string>

namespace torch::nn {
class Module;
}

namespace regraft {

// For MigrationOptions::evaluator. Where the LibTorch that is loaded is of another version than the
// one that this library was built with, whatever has to be computed is refused (no-evaluator).
std::shared_ptr<Evaluator> torch_evaluator();

// Loads `source` into the module by the spec, as Module.load_state_dict does in Python: parameters
// and buffers by their dotted names, values copied into the tensors that are there, on the device
// where they are. The module is the target: its own values are kept where the policies say so.
// Changes the module only if the whole plan holds and everything has been read; the report has
// missing_keys() and unexpected_keys(). Without an evaluator in the options, torch_evaluator() is
// used.
MigrationReport load_state_dict(torch::nn::Module& module, const std::string& source,
                                const MigrationSpec& spec, const MigrationOptions& options = {});

}  // namespace regraft
