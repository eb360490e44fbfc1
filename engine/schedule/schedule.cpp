#include "schedule/schedule.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/checked.h"
#include "expr/convert.h"
#include "schedule/effort.h"
#include "schedule/gather_way.h"
#include "schedule/parts.h"
#include "schedule/storages.h"
#include "text/yaml.h"

namespace regraft {
namespace {

constexpr std::size_t kListed = 5;  // names in a message
// Small files may grow by more: a few tensors written twice are no attack.
constexpr std::uint64_t kGrowthSlack = 64ull << 20;

std::string drop_rule(const std::string& name) {
  return "drop it with a rule: `- drop: {exact: " + yaml::quoted_scalar(name) + "}`";
}

// "'a', 'b' and 7 more"
template <typename Names>
std::string listed(const Names& names) {
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kListed); ++i) {
    if (i > 0) text += ", ";
    text += quoted(names[i]);
  }
  if (names.size() > kListed) text += " and " + std::to_string(names.size() - kListed) + " more";
  return text;
}

std::uint64_t saturated_sum(std::uint64_t a, std::uint64_t b) {
  return checked_add(a, b).value_or(UINT64_MAX);
}

class Scheduler {
 public:
  Scheduler(const Plan& plan, const Program& program, const Inputs& inputs, const Format& format,
            const ScheduleOptions& options, Diagnostics& diagnostics)
      : plan_(plan),
        program_(program),
        inputs_(inputs),
        catalogs_(inputs.all()),
        format_(format),
        options_(options),
        diagnostics_(diagnostics) {}

  std::optional<Schedule> make() {
    const std::size_t errors_before = diagnostics_.error_count();
    schedule_.format = &format_;
    const Writer* writer = format_.writer();
    if (writer == nullptr) {
      refuse(Code::cannot_write, std::string(format_.name()) + " can only be read",
             "write a .pt or a .safetensors file");
      return std::nullopt;
    }
    std::vector<Piece> pieces = resolve();
    if (writer->shares_storages()) {
      place_sharing(std::move(pieces), catalogs_, put_around(*writer), schedule_);
      note_ties_with_kept();
    } else {
      refuse_ties(place_apart(std::move(pieces), catalogs_, program_.output.ties, format_.name(),
                              schedule_));
    }
    for (const ScheduledTensor& tensor : schedule_.tensors) check_tensor(*writer, tensor);
    check_growth();
    check_extras(*writer);
    settle_metadata(*writer);
    if (diagnostics_.error_count() > errors_before) return std::nullopt;

    for (ScheduledStorage& storage : schedule_.storages) settle_checksum(*writer, storage);
    for (const ScheduledTensor& tensor : schedule_.tensors) {
      schedule_.output.tensors.push_back(tensor.tensor);
    }
    for (const ScheduledStorage& storage : schedule_.storages) {
      schedule_.output.storages.push_back(
          {storage.nbytes, storage.dtype, source_offset(storage), storage.known_crc});
    }
    auto layout = writer->layout(schedule_.output);
    if (!layout.ok()) {
      Diagnostic refusal = std::move(layout).error();
      if (!refusal.where.known()) refusal.where = spec();
      diagnostics_.add(std::move(refusal));
      return std::nullopt;
    }
    schedule_.layout = std::move(layout).value();
    count_effort(schedule_, catalogs_, options_.tile_size);
    check_memory();
    if (diagnostics_.error_count() > errors_before) return std::nullopt;
    return std::move(schedule_);
  }

 private:
  [[nodiscard]] Location spec() const {
    Location where;
    where.text = program_.text;
    return where;
  }
  void refuse(Code code, std::string message, std::string hint) {
    diagnostics_.add(error(code, spec(), std::move(message), std::move(hint)));
  }

  // The pieces of the output; tensors that cannot be carried are refused and left out.
  std::vector<Piece> resolve() {
    std::vector<Piece> pieces;
    for (std::uint32_t i = 0; i < plan_.tensors.size(); ++i) {
      const PlannedTensor& planned = plan_.tensors[i];
      if (!planned.expr) continue;
      const std::vector<Load> loads = loads_of(*planned.expr);
      bool carried = true;
      for (const Load& loaded : loads) {
        const Tensor& tensor = tensor_of(loaded);
        if (tensor.unsupported.empty()) continue;
        carried = false;
        const std::string source = tensor.name == planned.name
                                       ? std::string()
                                       : " (" + quoted(tensor.name) + " of the input)";
        refuse(Code::cannot_carry,
               "the tensor " + quoted(planned.name) + source + " cannot be carried: it is " +
                   tensor.unsupported,
               remedy(planned));
      }
      if (!carried) continue;
      Piece piece;
      piece.planned = i;
      piece.expr = planned.expr;
      piece.steps = planned.steps();
      if (loads.empty()) piece.made_for = place_in_target(planned);
      resolve_view(piece);
      if (nbytes(*planned.expr) > INT64_MAX) {
        refuse(Code::limit_exceeded,
               "the tensor " + quoted(planned.name) + " of shape " +
                   to_string(planned.expr->shape) + " has more bytes than a file can have",
               remedy(planned));
        continue;
      }
      piece.tensor.name = planned.name;
      piece.tensor.dtype = planned.expr->dtype;
      piece.tensor.shape = planned.expr->shape;
      piece.tensor.strides = contiguous_strides(piece.tensor.shape);
      if (const Tensor* model = like(planned, loads)) {
        piece.tensor.requires_grad = model->requires_grad && may_require_grad(piece.tensor.dtype);
        piece.tensor.parameter = model->parameter;
      }
      if (piece.view) {
        piece.tensor.conj = piece.view->conj;
        piece.tensor.neg = piece.view->neg;
      }
      if (!piece.view && options_.byte_ranges) piece.parts = parts_of(*piece.steps, catalogs_);
      if (!piece.view && !piece.parts && options_.casts)
        piece.convert = cast_of_parts(*piece.steps);
      pieces.push_back(std::move(piece));
    }
    set_apart(pieces);
    return pieces;
  }

  // Reshapes of a cast, whose elements lie in the inputs.
  [[nodiscard]] std::optional<Convert> cast_of_parts(const Expr& expr) const {
    const Expr* node = &expr;
    while (std::holds_alternative<Reshape>(node->op)) node = node->args.front().get();
    const auto* cast = std::get_if<Cast>(&node->op);
    if (!cast) return std::nullopt;
    const Expr& arg = *node->args.front();
    if (!converts(arg.dtype, node->dtype)) return std::nullopt;
    std::optional<Parts> parts = parts_of(arg, catalogs_);
    if (!parts) return std::nullopt;
    return Convert{std::move(*parts), arg.dtype, cast->checked, node->shape};
  }

  // A reshaped tensor that was tied to another stands alone, with those that were reshaped alike.
  void set_apart(std::vector<Piece>& pieces) const {
    const auto reshaped = [](const Piece& piece) {
      return piece.view && !piece.rearranged && !std::holds_alternative<Load>(piece.expr->op);
    };
    std::set<std::string> apart;
    for (const Piece& piece : pieces)
      if (reshaped(piece) && plan_.tensors[piece.planned].untied)
        apart.insert(identity(*piece.expr, catalogs_));
    if (apart.empty()) return;
    for (Piece& piece : pieces)
      if (reshaped(piece)) piece.rearranged = apart.contains(identity(*piece.expr, catalogs_));
  }

  // torch loads no other.
  static bool may_require_grad(DType dtype) {
    return kind(dtype) == Kind::floating || kind(dtype) == Kind::complex;
  }

  // The tensor whose flags the output has: what reached the name, or else the target's own.
  const Tensor* like(const PlannedTensor& planned, const std::vector<Load>& loads) const {
    const bool own = planned.decision == Decision::kept || planned.decision == Decision::skipped;
    if (!own && !planned.from.empty()) return &tensor_of(planned.from.front());
    if (!loads.empty()) return &tensor_of(loads.front());
    return planned.target == kNone ? nullptr : &inputs_.target->tensors[planned.target];
  }

  // The same text for names of one tensor.
  [[nodiscard]] std::string place_in_target(const PlannedTensor& planned) const {
    if (planned.target == kNone) return {};
    const Tensor& tensor = inputs_.target->tensors[planned.target];
    return identity(*load(inputs_.target_index(), planned.target, tensor), catalogs_);
  }

  // A tensor of an input as it stands keeps its place among the others of its storage, a part or
  // another order of one gets bytes of its own. A reshape that is no view moves the elements of
  // what it reshapes, in row-major order.
  void resolve_view(Piece& piece) const {
    const Expr* node = piece.expr.get();
    piece.rearranged = !moves_only(*node);
    while (true) {
      piece.view = as_view(*node, catalogs_);
      if (piece.view || !std::holds_alternative<Reshape>(node->op)) break;
      node = node->args.front().get();
      piece.rearranged = true;
    }
    // What is a view only for having been optimized is bytes of its own, as if it were computed.
    if (piece.view || piece.steps == piece.expr) return;
    piece.view = as_view(*piece.steps, catalogs_);
    if (piece.view && (piece.view->conj || piece.view->neg)) piece.view.reset();
  }

  [[nodiscard]] const Tensor& tensor_of(const Load& loaded) const {
    return catalogs_[loaded.input]->tensors[loaded.tensor];
  }

  // What is kept beside the state dict, and the storages that it refers to.
  std::vector<std::uint32_t> put_around(const Writer& writer) {
    const ContainerMode mode = program_.output.container;
    const bool back = mode == ContainerMode::source ||
                      (mode == ContainerMode::automatic && program_.keeps_extras());
    const Catalog& source = *inputs_.sources.front();
    if (!back || !writer.holds_surroundings() || !source.extra_content) return {};
    Surroundings& around = schedule_.output.surroundings;
    around.content = source.extra_content;
    around.root = source.containers.front().place;
    around.root_path = source.containers.front().path;
    for (const ExtraFate& fate : plan_.extras)
      if (fate.kept()) around.places.push_back(source.extras[fate.extra].place);
    return around.content->storages(around.places, around.root);
  }

  // Kept tensors that were of one storage with tensors that are another's now.
  void note_ties_with_kept() {
    const auto& kept = schedule_.output.surroundings.storages;
    if (kept.empty()) return;
    std::set<std::uint32_t> apart;
    for (const auto& [source, output] : kept) apart.insert(source);
    std::set<std::uint32_t> shared;
    for (const Tensor& tensor : inputs_.sources.front()->tensors)
      if (apart.contains(tensor.storage)) shared.insert(tensor.storage);
    std::set<std::uint32_t> used;
    for (const ScheduledTensor& tensor : schedule_.tensors) used.insert(tensor.tensor.storage);
    std::uint64_t count = 0;
    for (const auto& [source, output] : kept)
      count += shared.contains(source) && !used.contains(output) ? 1 : 0;
    if (count > 0)
      schedule_.remarks.push_back(
          count_of(count, "storage of what is kept was", "storages of what is kept were") +
          " shared with tensors that are changed, and " + (count == 1 ? "stands" : "stand") +
          " apart now");
  }

  // That what is kept has a place.
  void check_extras(const Writer& writer) {
    std::vector<std::string> kept;
    for (const ExtraFate& fate : plan_.extras)
      if (fate.kept()) kept.push_back(inputs_.sources[fate.input]->extras[fate.extra].path);
    if (writer.in_memory()) {
      if (!kept.empty())
        schedule_.remarks.push_back("a model has no place for what is kept beside the tensors: " +
                                    listed(kept));
      return;
    }
    if (!writer.holds_surroundings()) {
      if (!kept.empty())
        refuse(Code::cannot_write,
               "a " + std::string(format_.name()) +
                   " file has no place for what is kept beside the tensors: " + listed(kept),
               "write a .pt file, or leave it out: `extras: drop`");
      else if (program_.output.container == ContainerMode::source)
        refuse(Code::cannot_write,
               "`output.container` is source, and a " + std::string(format_.name()) +
                   " file has tensors alone",
               "write a .pt file, or remove `container` from `output`");
      return;
    }
    if (program_.output.container == ContainerMode::flat && !kept.empty())
      refuse(Code::cannot_write,
             "a flat state dict has no place for what is kept beside the tensors: " + listed(kept),
             "`container: source` puts the state dict back among it");
  }

  static std::string omit(const std::string& name) {
    return "`policy: {missing: [{match: {exact: " + yaml::quoted_scalar(name) + "}, do: omit}]}`";
  }
  // How to be rid of a tensor: rules see results, policies see the target's own.
  static std::string remedy(const PlannedTensor& planned) {
    if (planned.decision == Decision::kept) return "leave it out: " + omit(planned.name);
    if (planned.decision == Decision::skipped)
      return drop_rule(planned.name) + " and " + omit(planned.name);
    return drop_rule(planned.name);
  }

  // A model in memory has its names and dtypes: it can be filled, and not be changed.
  void check_model(const ScheduledTensor& scheduled) {
    const PlannedTensor& planned = plan_.tensors[scheduled.planned];
    if (planned.target == kNone) {
      refuse(Code::cannot_write,
             "the model has no tensor " + quoted(planned.name) + ", which is to be kept",
             "`unexpected: drop` leaves it out, or " + drop_rule(planned.name));
      return;
    }
    const Tensor& own = inputs_.target->tensors[planned.target];
    if (!own.unsupported.empty()) {
      refuse(Code::cannot_write,
             "the tensor " + quoted(planned.name) + " cannot be filled: in the model it is " +
                 own.unsupported,
             "leave it as it is: " + drop_rule(planned.name) + " and " + omit(planned.name));
      return;
    }
    if (scheduled.tensor.dtype == own.dtype) return;
    refuse(Code::cannot_write,
           "the tensor " + quoted(planned.name) + " is " + std::string(name(own.dtype)) +
               " in the model, and " + std::string(name(scheduled.tensor.dtype)) +
               " is to be loaded",
           "`dtype: cast` converts it; `dtype: source` is for files");
  }

  void check_tensor(const Writer& writer, const ScheduledTensor& tensor) {
    if (writer.in_memory()) return check_model(tensor);
    const std::optional<std::string> why = writer.refuses(tensor.tensor);
    if (!why) return;
    refuse(Code::cannot_write,
           "the tensor " + quoted(tensor.tensor.name) + " cannot be written: " + *why,
           (writer.shares_storages() ? "" : "write a .pt file, or ") +
               remedy(plan_.tensors[tensor.planned]));
  }

  void refuse_ties(const Ties& ties) {
    for (const std::vector<std::uint32_t>& pieces : ties) {
      std::vector<std::string> names;
      // With TiesMode::error every piece is placed, in order.
      for (const std::uint32_t piece : pieces) {
        names.push_back(schedule_.tensors[piece].tensor.name);
      }
      refuse(Code::cannot_write,
             "tied tensors: " + listed(names) + "; " + std::string(format_.name()) +
                 " holds no ties, and `output.ties` is error",
             "write a .pt file, or set `ties: duplicate` or `ties: first` under `output`");
    }
  }

  // A view of few bytes may state any size; what is written of it is bounded by what was given.
  void check_growth() {
    if (options_.max_growth == 0) return;
    std::uint64_t most_bytes = 0, written = 0;
    const ScheduledTensor* worst = nullptr;
    for (const ScheduledTensor& tensor : schedule_.tensors) {
      const ScheduledStorage& storage = schedule_.storages[tensor.tensor.storage];
      if (worst && storage.nbytes <= most_bytes) continue;
      worst = &tensor;
      most_bytes = storage.nbytes;
    }
    for (const ScheduledStorage& storage : schedule_.storages) {
      written = saturated_sum(written, storage.nbytes);
    }
    if (written > most_allowed() && worst) {
      refuse(Code::limit_exceeded,
             "the output would have " + std::to_string(written) + " bytes, more than " +
                 times_given() + "; the largest tensor is " + quoted(worst->tensor.name) + ", " +
                 to_string(worst->tensor.shape),
             remedy(plan_.tensors[worst->planned]) + ", or allow it with --max-growth");
      return;
    }
    check_digests();
  }

  // A view may have few bytes again and again, without end: also where they are written once, a
  // digest is of all of its elements.
  void check_digests() {
    if (!options_.digests && !options_.digests_of_inputs) return;
    std::uint64_t bytes = 0, most = 0;
    std::string largest;
    const auto count = [&](const Tensor& tensor) {
      if (!tensor.unsupported.empty()) return;
      const std::uint64_t size = nbytes(tensor);
      bytes = saturated_sum(bytes, size);
      if (size < most) return;
      most = size;
      largest = quoted(tensor.name) + ", " + to_string(tensor.shape);
    };
    for (const ScheduledTensor& tensor : schedule_.tensors) count(tensor.tensor);
    if (options_.digests_of_inputs)
      for (const Catalog* catalog : catalogs_)
        for (const Tensor& tensor : catalog->tensors) count(tensor);
    if (bytes <= most_allowed()) return;
    refuse(Code::limit_exceeded,
           "the digests would be of " + std::to_string(bytes) + " bytes, more than " +
               times_given() + "; the largest tensor is " + largest,
           "--digest none writes it without them, or allow it with --max-growth");
  }

  // A schema has no data in it and is given all the same: who names it says how large the model is.
  [[nodiscard]] std::uint64_t given() const {
    std::uint64_t bytes = 0;
    for (const Catalog* catalog : catalogs_) bytes = saturated_sum(bytes, catalog->file_bytes);
    if (inputs_.target && !inputs_.target->has_values)
      for (const Tensor& tensor : inputs_.target->tensors)
        bytes = saturated_sum(bytes, nbytes(tensor));
    return bytes;
  }
  [[nodiscard]] std::uint64_t most_allowed() const {
    return saturated_sum(checked_mul(given(), options_.max_growth).value_or(UINT64_MAX),
                         kGrowthSlack);
  }
  [[nodiscard]] std::string times_given() const {
    return std::to_string(options_.max_growth) + " times the " + std::to_string(given()) +
           " of the input files";
  }

  // What stands beside the tensors. One kind of file holds a `_metadata` of modules, the other a
  // mapping in its header; the formats that share storages are the former.
  void settle_metadata(const Writer& writer) {
    if (writer.in_memory()) return;
    if (writer.shares_storages()) {
      schedule_.output.module_metadata = plan_.module_metadata;
      schedule_.output.has_module_metadata = plan_.has_module_metadata;
      if (!program_.output.metadata.empty()) {
        refuse(Code::cannot_write,
               "`output.metadata` is set, and a " + std::string(format_.name()) +
                   " file has no header that could hold it",
               "write a .safetensors file, or remove `metadata` from `output`");
      }
    } else {
      schedule_.output.metadata = program_.output.metadata;
      if (plan_.has_module_metadata) {
        schedule_.remarks.push_back("the `_metadata` of the state dict is not kept: " +
                                    std::string(format_.name()) + " has no place for it");
      }
    }
    for (const Catalog* source : inputs_.sources) {
      std::vector<std::string> keys;
      for (const auto& [key, value] : source->metadata) {
        if (key != "format") keys.push_back(key);
      }
      if (!keys.empty()) {
        schedule_.remarks.push_back("the metadata of " + quoted(source->path) +
                                    " is dropped: " + listed(keys));
      }
    }
  }

  // On small ones the padding would cost more than it gains.
  [[nodiscard]] std::optional<std::uint64_t> source_offset(const ScheduledStorage& storage) const {
    constexpr std::uint64_t kLeast = 1 << 20;
    const auto* range = std::get_if<CopyRange>(&storage.origin);
    if (!range || range->length < kLeast) return std::nullopt;
    return catalogs_[range->input]->storages[range->storage].offset + range->offset;
  }

  void settle_checksum(const Writer& writer, ScheduledStorage& storage) const {
    if (const auto* range = std::get_if<CopyRange>(&storage.origin)) {
      const Storage& source = catalogs_[range->input]->storages[range->storage];
      if (range->offset == 0 && range->length == source.nbytes && range->length > 0) {
        storage.known_crc = source.crc32;
      }
    }
    if (!writer.wants_crc32()) return;
    storage.checksum = storage.known_crc && !options_.verify ? Checksum::reuse : Checksum::compute;
  }

  void check_memory() {
    if (!options_.max_memory || schedule_.peak_bytes <= *options_.max_memory) return;
    const auto most = std::ranges::max_element(
        schedule_.tensors, {},
        [&](const ScheduledTensor& tensor) { return buffers_of(schedule_, tensor); });
    const bool any = most != schedule_.tensors.end() && buffers_of(schedule_, *most) > kCopyBlock;
    refuse(Code::limit_exceeded,
           (any ? "the tensor " + quoted(most->tensor.name) + " takes " : "copying takes ") +
               std::to_string(schedule_.peak_bytes) + " bytes of memory, and --max-memory is " +
               std::to_string(*options_.max_memory),
           "--max-memory " + std::to_string(schedule_.peak_bytes) +
               (any ? ", or " + remedy(plan_.tensors[most->planned]) : std::string()));
  }

  const Plan& plan_;
  const Program& program_;
  const Inputs& inputs_;
  const std::vector<const Catalog*> catalogs_;
  const Format& format_;
  const ScheduleOptions& options_;
  Diagnostics& diagnostics_;
  Schedule schedule_;
};

}  // namespace

std::uint64_t nbytes(const Part& part) {
  if (const auto* range = std::get_if<CopyRange>(&part)) return range->length;
  if (const auto* gather = std::get_if<Gather>(&part)) return nbytes(gather->view);
  return std::get<Repeat>(part).nbytes;
}

const Parts* parts_of(const Origin& origin) {
  if (const auto* convert = std::get_if<Convert>(&origin)) return &convert->parts;
  return std::get_if<Parts>(&origin);
}

std::optional<Schedule> make_schedule(const Plan& plan, const Program& program,
                                      const Inputs& inputs, const Format& format,
                                      const ScheduleOptions& options, Diagnostics& diagnostics) {
  return Scheduler(plan, program, inputs, format, options, diagnostics).make();
}

}  // namespace regraft
