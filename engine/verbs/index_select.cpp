// index_select: '^head\.'
// index: [0, 2]      head.weight [3, 8], head.bias [3]  ->  head.weight [2, 8], head.bias [2]
#include <array>

#include "verbs/one_to_one.h"
#include "verbs/verbs.h"

namespace regraft {
namespace {

constexpr auto kParams = std::to_array<Param>({
    {"dim", ParamType::integer, false, "Default 0."},
    {"index", ParamType::integers, true,
     "What the result has in that dimension, in order: numbers from 0 up, which may be there more "
     "than once. A variable that is a list is written as its name."},
});

class Selecting final : public OneToOne {
 public:
  Selecting(Integer dim, Integers index) : dim_(std::move(dim)), index_(std::move(index)) {}

 private:
  Result<ExprPtr> make(const Subject& subject) const override {
    const ExprPtr& arg = *subject.first().expr;
    REGRAFT_TRY(const std::int64_t asked, dim_.value(subject));
    REGRAFT_TRY(const std::int64_t dim, dim_from_zero(asked, arg->shape.size(), subject.first()));
    REGRAFT_TRY(std::vector<std::int64_t> index, index_.value(subject));
    const std::int64_t size = arg->shape[static_cast<std::size_t>(dim)];
    for (const std::int64_t one : index)
      if (one < 0 || one >= size)
        return shape_error(
            "the index " + std::to_string(one) + " is not in dimension " + std::to_string(dim) +
                " of " + described(subject.first()),
            size == 0 ? "that dimension is empty" : "indexes are 0 to " + std::to_string(size - 1));
    Shape whole = arg->shape;
    whole[static_cast<std::size_t>(dim)] = static_cast<std::int64_t>(index.size());
    if (!numel(whole)) return too_large(subject.first().name);
    return index_select(arg, dim, std::move(index));
  }

  Integer dim_;
  Integers index_;
};

class IndexSelect final : public Verb {
 public:
  std::string_view name() const override { return "index_select"; }
  std::string_view doc() const override {
    return "Rows, or what another dimension has, by number: class subsets, vocabulary maps. As "
           "torch.index_select.";
  }
  std::string_view example() const override {
    return "index_select: '^head\\.'\nindex: [3, 17, 4]";
  }
  std::string_view sample() const override {
    return "head.weight float32 [20, 8]\n"
           "head.bias float32 [20]";
  }
  std::span<const Param> params() const override { return kParams; }
  BoundParts bind(BindContext& context) const override {
    BoundParts parts{.entries = context.patterns(context.operand())};
    Integer dim = Integer::read_or(context, "dim", 0, parts);
    if (auto index = Integers::read(context, "index", parts))
      parts.verb = std::make_unique<Selecting>(std::move(dim), std::move(*index));
    return parts;
  }
};

}  // namespace

const Verb& index_select_verb() {
  static const IndexSelect verb;
  return verb;
}

}  // namespace regraft
