// combine: {a: '\.down\.weight$', b: '\.up\.weight$', w: '\.weight$'}
// to: '.weight'
// as: 'w + (alpha / size(a, 0)) * (b @ a)'
//   x.down.weight [4, 16], x.up.weight [8, 4], x.weight [8, 16]  ->  x.weight [8, 16]
#include <algorithm>
#include <array>

#include "text/characters.h"
#include "verbs/formula.h"
#include "verbs/groups.h"
#include "verbs/parameters.h"
#include "verbs/rewrite.h"
#include "verbs/verbs.h"

namespace regraft {
namespace {

constexpr auto kParams = std::to_array<Param>({
    {"to", ParamType::template_or_formulas, true,
     "What stands in place of the match; names that become equal are one group. A mapping of such "
     "texts to formulas makes several tensors: the first one groups."},
    {"as", ParamType::text, false, "The formula; required unless `to` is a mapping."},
    kGroupDType,
    kPartial,
});

// A tensor that is made of each group. Templates and formulas by entry of the rule.
struct Output {
  std::vector<Template> to;
  std::vector<Formula> formulas;
  Location to_where, where;
};

class Combining final : public BoundVerb {
 public:
  Combining(Groups groups, std::vector<Output> outputs, std::optional<DType> dtype)
      : groups_(std::move(groups)), outputs_(std::move(outputs)), dtype_(dtype) {}

  Effect apply(std::span<const Match> matches, const Variables& variables) const override {
    Effect effect;
    for (const Group& group : groups_.collect(matches, variables, effect.errors)) {
      Result<std::vector<Put>> puts = combined(group, variables);
      if (!puts) {
        effect.errors.push_back(std::move(puts).error());
        continue;
      }
      effect.consumed.insert(effect.consumed.end(), group.parts.begin(), group.parts.end());
      std::ranges::move(*puts, std::back_inserter(effect.puts));
    }
    return effect;
  }

 private:
  Result<std::vector<Put>> combined(const Group& group, const Variables& variables) const {
    const Subject subject(group.matches, variables);
    std::vector<ExprPtr> tensors;
    for (const Match& match : group.matches) tensors.push_back(*match.expr);
    std::vector<Put> puts;
    for (const Output& output : outputs_) {
      Put put;
      REGRAFT_TRY(put.name, name_of(output, subject));
      const Formula& formula = output.formulas[subject.first().entry];
      REGRAFT_CHECK(same_captures(subject, formula.text(), output.where,
                                  [&](std::size_t entry) -> const std::vector<int>& {
                                    return output.formulas[entry].groups();
                                  }));
      Result<ExprPtr> made = formula.build(tensors, subject.bindings(), dtype_);
      if (!made) return for_tensor(std::move(made).error(), put.name);
      put.expr = std::move(*made);
      for (const std::size_t operand : formula.elements_of())
        put.from.push_back(group.parts[operand]);
      std::ranges::sort(put.from);  // it stands where the first of them stood
      puts.push_back(std::move(put));
    }
    return puts;
  }

  // Of the first output it is the name by which the parts were found to be a group.
  static Result<std::string> name_of(const Output& output, const Subject& subject) {
    const Match& first = subject.first();
    REGRAFT_TRY(std::string name,
                rewrite(first, output.to[first.entry], false, subject.variables()));
    for (const Match& other : subject.matches().subspan(1)) {
      REGRAFT_TRY(const std::string its,
                  rewrite(other, output.to[other.entry], false, subject.variables()));
      if (its != name)
        return error(Code::bad_group, output.to_where,
                     "the parts of one group give one result two names: " + quoted(name) + ", of " +
                         quoted(first.name) + ", and " + quoted(its) + ", of " + quoted(other.name),
                     "the patterns of `combine` match the same part of a name in all results");
    }
    return name;
  }

  Groups groups_;
  std::vector<Output> outputs_;
  std::optional<DType> dtype_;
};

class Binder {
 public:
  explicit Binder(BindContext& context) : context_(context) {}

  BoundParts run() {
    const std::size_t before = context_.diagnostics().error_count();
    read_operands();
    read_outputs();
    const auto dtype = context_.parameters(kParams).dtype("dtype");
    std::vector<std::string> called;
    for (const std::string& name : names_) called.push_back("`" + name + "`");
    auto groups =
        Groups::of_operands(context_, std::move(called), operand_of_entry_,
                            outputs_.empty() ? std::vector<Template>() : outputs_.front().to);
    if (context_.diagnostics().error_count() == before) check_use();
    if (context_.diagnostics().error_count() == before && groups && !outputs_.empty())
      parts_.verb = std::make_unique<Combining>(std::move(*groups), std::move(outputs_), dtype);
    return std::move(parts_);
  }

 private:
  void fail(Code code, const Location& where, std::string message, std::string hint = {}) {
    context_.diagnostics().add(error(code, where, std::move(message), std::move(hint)));
  }

  void read_operands() {
    const yaml::Node& operands = context_.operand();
    if (!operands.is_mapping() || operands.entries.empty())
      return fail(
          Code::wrong_type, operands.where,
          "`combine` is a mapping of names to patterns, " +
              (operands.is_mapping() ? "and this one is empty" : "not " + yaml::describe(operands)),
          "for instance `combine: {a: '\\.a$', b: '\\.b$'}`");
    for (const yaml::Entry& entry : operands.entries) {
      if (!is_name(entry.key.text)) {
        fail(Code::wrong_type, entry.key.where,
             quoted(entry.key.text) + " is no name of an operand",
             "a name has letters, digits and `_`, and begins with no digit");
        continue;
      }
      for (RuleEntry& pattern : context_.patterns(entry.value)) {
        parts_.entries.push_back(std::move(pattern));
        operand_of_entry_.push_back(names_.size());
      }
      names_.push_back(entry.key.text);
      places_.push_back(entry.key.where);
    }
  }

  void read_outputs() {
    const yaml::Node* to = context_.param("to");
    const yaml::Node* as = context_.param("as");
    if (!to) return;  // reported by the table's check
    if (!to->is_mapping()) {
      if (!as)
        return fail(Code::missing_key, context_.verb_key().where, "`combine` has no `as`",
                    "it is the formula, for instance `as: a + b`");
      return read_output(*to, *as);
    }
    if (as)
      fail(Code::wrong_type, as->where, "`as` stands beside a `to` that has its own formulas",
           "remove `as`, or give one text as `to`");
    if (to->entries.empty())
      fail(Code::wrong_type, to->where, "the mapping of `to` is empty",
           "for instance `to: {'.weight': a + b}`");
    for (const yaml::Entry& entry : to->entries) read_output(entry.key, entry.value);
  }

  void read_output(const yaml::Node& to, const yaml::Node& as) {
    if (!as.is_scalar())
      return fail(Code::wrong_type, as.where, "a formula is a text, not " + yaml::describe(as),
                  "for instance `a + b`");
    Output output;
    output.to_where = to.where;
    output.where = as.where;
    // The same text would fail the same way for each entry.
    for (const RuleEntry& entry : parts_.entries) {
      auto name = context_.text_template(to, entry.pattern);
      if (!name) break;
      learn(name->variables());
      output.to.push_back(std::move(*name));
    }
    for (const RuleEntry& entry : parts_.entries) {
      const Scope scope{.variables = &context_.variables(), .pattern = &entry.pattern};
      auto formula = Formula::parse(as.text, as.where, names_, scope, context_.diagnostics());
      if (!formula) break;
      learn(formula->variables());
      output.formulas.push_back(std::move(*formula));
    }
    outputs_.push_back(std::move(output));
  }
  void learn(const std::vector<std::string>& variables) {
    parts_.variables.insert(parts_.variables.end(), variables.begin(), variables.end());
  }

  // A tensor that no formula asks for would go without a word.
  void check_use() {
    for (std::size_t i = 0; i < names_.size(); ++i) {
      const bool used = std::ranges::any_of(outputs_, [&](const Output& output) {
        return std::ranges::count(output.formulas.front().operands(), i) > 0;
      });
      if (!used)
        fail(Code::bad_expression, places_[i], "no formula uses the operand `" + names_[i] + "`",
             "`drop` takes tensors away");
    }
  }

  BindContext& context_;
  BoundParts parts_;
  std::vector<std::string> names_;  // of the operands
  std::vector<Location> places_;
  std::vector<std::size_t> operand_of_entry_;
  std::vector<Output> outputs_;
};

class Combine final : public Verb {
 public:
  std::string_view name() const override { return "combine"; }
  std::string_view doc() const override {
    return "One tensor, or several, computed from a group by formulas: in float32, or float64 "
           "where an operand is, and rounded once.";
  }
  std::string_view example() const override {
    return "combine: {a: '\\.down\\.weight$', b: '\\.up\\.weight$', w: '\\.weight$'}\n"
           "to: '.weight'\nas: 'w + 16 / size(a, 0) * (b @ a)'\npartial: pass";
  }
  std::string_view sample() const override {
    return "fc.weight float32 [10, 8]\n"
           "fc.down.weight float32 [4, 8]\n"
           "fc.up.weight float32 [10, 4]\n"
           "head.weight float32 [5, 8]";
  }
  ParamType operand() const override { return ParamType::operands; }
  std::span<const Param> params() const override { return kParams; }
  BoundParts bind(BindContext& context) const override { return Binder(context).run(); }
};

}  // namespace

const Verb& combine_verb() {
  static const Combine verb;
  return verb;
}

}  // namespace regraft
