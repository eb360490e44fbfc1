// What a checkpoint holds beside the tensors of its state dict, as what a writer of the same format
// can write again: epochs, arguments, an optimizer's state.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace regraft {

// Where something stands in the file, in numbers that only its reader knows.
using ExtraPlace = std::uint32_t;
inline constexpr ExtraPlace kNoPlace = 0xFFFFFFFF;  // of a container: the top

class ExtraContent {
 public:
  virtual ~ExtraContent() = default;
  // Empty, or why what stands at `place` cannot be written around the state dict of `root` again:
  // "it is made by os.system".
  [[nodiscard]] virtual std::string refuses(ExtraPlace place, ExtraPlace root) const = 0;
  // The storages, ascending, that what stands at the places refers to, but for the state dict of
  // `root`: indexes into Catalog::storages.
  [[nodiscard]] virtual std::vector<std::uint32_t> storages(std::span<const ExtraPlace> places,
                                                            ExtraPlace root) const = 0;
};

// Around the state dict of an output: the containers that `content` has it in, and what stands at
// `places`. No content: the state dict is all there is.
struct Surroundings {
  std::shared_ptr<const ExtraContent> content;
  ExtraPlace root = kNoPlace;
  std::string root_path;  // dotted, from the top
  std::vector<ExtraPlace> places;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> storages;  // the source's, the output's
};

}  // namespace regraft
