// interpolate: '^pos_embed$'
// size: [16, 16]
// prefix_tokens: 1      pos_embed [1, 197, 8]  ->  pos_embed [1, 257, 8]
#include <array>

#include "verbs/grid.h"
#include "verbs/one_to_one.h"
#include "verbs/verbs.h"

namespace regraft {
namespace {

class Interpolating final : public OneToOne {
 public:
  Interpolating(Grid grid, Integers size, std::optional<Integers> from, Integer prefix,
                Integer suffix)
      : grid_(std::move(grid)),
        size_(std::move(size)),
        from_(std::move(from)),
        prefix_(std::move(prefix)),
        suffix_(std::move(suffix)) {}

 private:
  Result<ExprPtr> make(const Subject& subject) const override {
    const ExprPtr& arg = *subject.first().expr;
    Grid::Sizes sizes;
    REGRAFT_TRY(sizes.to, size(subject, size_, "size"));
    if (from_) {
      REGRAFT_TRY(sizes.from, size(subject, *from_, "from"));
    }
    REGRAFT_TRY(sizes.prefix, tokens(subject, prefix_, "prefix_tokens"));
    REGRAFT_TRY(sizes.suffix, tokens(subject, suffix_, "suffix_tokens"));
    Result<Grid::Resized> resized = grid_.resize(arg, sizes);
    if (resized) return std::move(resized->expr);
    Diagnostic problem = std::move(resized).error();
    problem.message = described(subject.first()) + ": " + problem.message;
    return problem;
  }

  static Result<std::optional<GridSize>> size(const Subject& subject, const Integers& numbers,
                                              const char* what) {
    REGRAFT_TRY(const std::vector<std::int64_t> size, numbers.value(subject));
    if (size.size() == 2 && size[0] > 0 && size[1] > 0)
      return std::optional(GridSize{size[0], size[1]});
    return shape_error(
        "`" + std::string(what) + "` is " + to_string(size) + " for " + described(subject.first()),
        "it has two sizes from 1 up, height and width");
  }

  static Result<std::int64_t> tokens(const Subject& subject, const Integer& number,
                                     const char* what) {
    REGRAFT_TRY(const std::int64_t count, number.value(subject));
    if (count >= 0) return count;
    return shape_error("`" + std::string(what) + "` is " + std::to_string(count) + " for " +
                           described(subject.first()),
                       "it is from 0 up");
  }

  Grid grid_;
  Integers size_;
  std::optional<Integers> from_;
  Integer prefix_, suffix_;
};

class InterpolateVerb final : public Verb {
 public:
  std::string_view name() const override { return "interpolate"; }
  std::string_view doc() const override {
    return "A grid of positions in another size, as torch's interpolate with align_corners false, "
           "computed in float32.";
  }
  std::string_view example() const override {
    return "interpolate: '^pos_embed$'\nsize: [16, 16]\nprefix_tokens: 1";
  }
  std::string_view sample() const override { return "pos_embed float32 [1, 197, 8]"; }
  std::span<const Param> params() const override { return Grid::rule_params(); }

  BoundParts bind(BindContext& context) const override {
    BoundParts parts{.entries = context.patterns(context.operand())};
    std::optional<Grid> grid = Grid::read(context.parameters(params()), context.diagnostics());
    std::optional<Integers> size = Integers::read(context, "size", parts);
    std::optional<Integers> from = Integers::read(context, "from", parts);
    Integer prefix = Integer::read_or(context, "prefix_tokens", 0, parts);
    Integer suffix = Integer::read_or(context, "suffix_tokens", 0, parts);
    if (grid && size)
      parts.verb =
          std::make_unique<Interpolating>(std::move(*grid), std::move(*size), std::move(from),
                                          std::move(prefix), std::move(suffix));
    return parts;
  }
};

}  // namespace

const Verb& interpolate_verb() {
  static const InterpolateVerb verb;
  return verb;
}

}  // namespace regraft
