// reshape: '^head\.weight$'
// shape: [10, -1]      head.weight [10, 8, 1, 1]  ->  head.weight [10, 8]
#include <algorithm>
#include <array>

#include "verbs/inverse.h"
#include "verbs/one_to_one.h"
#include "verbs/verbs.h"

namespace regraft {
namespace {

constexpr auto kParams = std::to_array<Param>({
    {"shape", ParamType::integers, true, "The sizes; one may be -1, which is what is left."},
});

class Reshaping final : public OneToOne {
 public:
  explicit Reshaping(Integers shape) : shape_(std::move(shape)) {}

 private:
  Result<ExprPtr> make(const Subject& subject) const override {
    const ExprPtr& arg = *subject.first().expr;
    REGRAFT_TRY(const Shape asked, shape_.value(subject));
    if (std::optional<Shape> shape = reshaped(asked, *numel(arg->shape)))
      return reshape(arg, std::move(*shape));
    const auto open = std::count(asked.begin(), asked.end(), -1);
    const bool negative =
        std::any_of(asked.begin(), asked.end(), [](std::int64_t size) { return size < -1; });
    Shape sizes = asked;
    std::replace(sizes.begin(), sizes.end(), std::int64_t{-1}, std::int64_t{1});
    if (!negative && !numel(sizes)) return too_large(subject.first().name);
    return shape_error(
        described(subject.first()) + " has " + std::to_string(*numel(arg->shape)) +
            " elements, which no shape " + to_string(asked) + " has",
        negative   ? "a size is from 0 up, or -1 for what is left"
        : open > 1 ? "one size may be -1"
                   : "`reshape` keeps every element; `slice` and `pad` change their number");
  }

  Integers shape_;
};

class ReshapeVerb final : public Verb {
 public:
  std::string_view name() const override { return "reshape"; }
  std::string_view doc() const override {
    return "The same elements in row-major order under another shape, as torch.reshape.";
  }
  std::string_view example() const override {
    return "reshape: '^head\\.weight$'\nshape: [1000, -1]";
  }
  std::string_view sample() const override { return "head.weight float32 [1000, 8, 1, 1]"; }
  std::span<const Param> params() const override { return kParams; }
  BoundParts bind(BindContext& context) const override {
    BoundParts parts{.entries = context.patterns(context.operand())};
    if (auto shape = Integers::read(context, "shape", parts))
      parts.verb = std::make_unique<Reshaping>(std::move(*shape));
    return parts;
  }
  Result<Undoing> undo(const InverseInput& input) const override {
    if (!input.seen) return needs_source(input, "what shape it was");
    std::vector<yaml::Node> sizes;
    for (const Seen::Made& made : input.seen->made) {
      if (made.from.front().shape != input.seen->made.front().from.front().shape)
        return no_inverse(input,
                          "its tensors had different shapes: " +
                              to_string(input.seen->made.front().from.front().shape) + " and " +
                              to_string(made.from.front().shape),
                          "give each shape a rule of its own");
    }
    if (input.seen->made.empty()) return Undoing{};
    for (const std::int64_t size : input.seen->made.front().from.front().shape)
      sizes.push_back(plain_node(std::to_string(size)));
    return Undoing{.rules = {mapping_node(
                       {{"reshape", input.operand}, {"shape", list_node(std::move(sizes))}})},
                   .same_names = true,
                   .same_dtype = true};
  }
};

}  // namespace

const Verb& reshape_verb() {
  static const ReshapeVerb verb;
  return verb;
}

}  // namespace regraft
