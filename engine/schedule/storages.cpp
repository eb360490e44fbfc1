#include "schedule/storages.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "schedule/gather_way.h"

namespace regraft {
namespace {

// Any total order does that keeps the views of one storage together.
auto key(const View& view) {
  return std::tie(view.input, view.storage, view.offset, view.dtype, view.shape, view.strides,
                  view.conj, view.neg);
}

// Groups of pieces that are one tensor under several names, and of views that have bytes in common.
class Sorted {
 public:
  Sorted(const std::vector<Piece>& pieces, std::span<const Catalog* const> catalogs)
      : pieces_(pieces) {
    std::map<std::string, std::uint32_t> computed;
    first_.resize(pieces.size());
    for (std::uint32_t i = 0; i < pieces.size(); ++i) {
      first_[i] = i;
      if (is_view(i)) {
        views_.push_back(i);
      } else {
        const std::string tensor = identity(*pieces[i].expr, catalogs) + pieces[i].made_for;
        first_[i] = computed.emplace(tensor, i).first->second;
      }
    }
    std::stable_sort(views_.begin(), views_.end(), [&](std::uint32_t a, std::uint32_t b) {
      return key(*pieces[a].view) < key(*pieces[b].view);
    });
    for (std::size_t i = 1; i < views_.size(); ++i) {
      const std::uint32_t before = first_[views_[i - 1]];
      if (*pieces[before].view == *pieces[views_[i]].view) first_[views_[i]] = before;
    }
  }

  [[nodiscard]] bool is_view(std::uint32_t piece) const {
    return pieces_[piece].view && !pieces_[piece].rearranged;
  }
  // The first piece that is the same tensor; itself, where there is none before it.
  [[nodiscard]] std::uint32_t first(std::uint32_t piece) const { return first_[piece]; }
  // Pieces that are views, those of one storage together.
  [[nodiscard]] std::span<const std::uint32_t> views() const { return views_; }
  // One past the views of the storage whose first is `views()[begin]`.
  [[nodiscard]] std::size_t run(std::size_t begin) const {
    const View& front = *pieces_[views_[begin]].view;
    std::size_t end = begin + 1;
    while (end < views_.size()) {
      const View& view = *pieces_[views_[end]].view;
      if (view.input != front.input || view.storage != front.storage) break;
      ++end;
    }
    return end;
  }

 private:
  const std::vector<Piece>& pieces_;
  std::vector<std::uint32_t> first_, views_;
};

using Extent = std::pair<std::uint64_t, std::uint64_t>;

// Whether two of them have bytes in common; none is empty.
bool any_overlap(std::vector<Extent>& extents) {
  std::sort(extents.begin(), extents.end());
  for (std::size_t i = 1; i < extents.size(); ++i) {
    if (extents[i].first < extents[i - 1].second) return true;
  }
  return false;
}

// A single range or view is one of its own kind.
Origin alone(const Parts& parts) {
  if (parts.parts.size() != 1) return parts;
  if (const auto* range = std::get_if<CopyRange>(&parts.parts.front())) return *range;
  if (const auto* gather = std::get_if<Gather>(&parts.parts.front())) return *gather;
  return parts;
}

ScheduledStorage own_storage(const Piece& piece) {
  ScheduledStorage storage;
  storage.nbytes = nbytes(piece.tensor);
  storage.dtype = piece.tensor.dtype;
  if (!piece.view && piece.parts) {
    storage.origin = alone(*piece.parts);
  } else if (!piece.view && piece.convert) {
    storage.origin = *piece.convert;
  } else if (!piece.view) {
    storage.origin = Evaluate{piece.steps, 0};
  } else if (is_contiguous(piece.view->shape, piece.view->strides)) {
    // An empty view may begin past its storage's end.
    const std::uint64_t begin = byte_extent(*piece.view).first;
    storage.origin = CopyRange{piece.view->input, piece.view->storage, begin, storage.nbytes};
  } else {
    storage.origin = Gather{*piece.view};
  }
  return storage;
}

// The storages in the order of their first tensors, as they are found.
class Placer {
 public:
  Placer(std::vector<Piece>& pieces, Schedule& schedule) : pieces_(pieces), schedule_(schedule) {}

  std::uint32_t add(ScheduledStorage storage) {
    schedule_.storages.push_back(std::move(storage));
    return static_cast<std::uint32_t>(schedule_.storages.size() - 1);
  }
  ScheduledTensor& put(std::uint32_t piece, std::uint32_t storage) {
    ScheduledTensor placed;
    placed.planned = pieces_[piece].planned;
    placed.tensor = std::move(pieces_[piece].tensor);
    placed.tensor.storage = storage;
    schedule_.tensors.push_back(std::move(placed));
    return schedule_.tensors.back();
  }

 private:
  std::vector<Piece>& pieces_;
  Schedule& schedule_;
};

// What becomes of the views of one storage.
struct Shared {
  bool whole = false;
  std::uint64_t nbytes = 0;  // of it
  std::uint32_t storage = kNone;
};

// Whole when the views cover at least half of it or share bytes, and when compacting saves nothing.
Shared judge(std::span<const std::uint32_t> views, const std::vector<Piece>& pieces,
             const Sorted& sorted, std::span<const Catalog* const> catalogs) {
  const View& front = *pieces[views.front()].view;
  const std::uint64_t size = catalogs[front.input]->storages[front.storage].nbytes;
  std::uint64_t covered = 0, compact = 0;
  bool grows = false;
  std::vector<Extent> extents;
  for (const std::uint32_t piece : views) {
    if (sorted.first(piece) != piece) continue;
    const View& view = *pieces[piece].view;
    covered += touched_bytes(view);
    grows = grows || __builtin_add_overflow(compact, nbytes(view), &compact);
    const Extent extent = byte_extent(view);
    if (extent.second > extent.first) extents.push_back(extent);
  }
  Shared shared;
  shared.nbytes = size;
  shared.whole = covered >= size - size / 2 || any_overlap(extents) || grows || compact >= size;
  return shared;
}

ScheduledStorage whole_storage(std::uint32_t input, std::uint32_t index, DType dtype,
                               std::uint64_t nbytes) {
  ScheduledStorage storage;
  storage.nbytes = nbytes;
  storage.dtype = dtype;
  storage.origin = CopyRange{input, index, 0, nbytes};
  return storage;
}

}  // namespace

std::string count_of(std::uint64_t count, std::string_view one, std::string_view many) {
  return std::to_string(count) + " " + std::string(count == 1 ? one : many);
}

void place_sharing(std::vector<Piece> pieces, std::span<const Catalog* const> catalogs,
                   std::span<const std::uint32_t> kept, Schedule& schedule) {
  const Sorted sorted(pieces, catalogs);
  std::vector<Shared> groups;
  std::map<std::uint32_t, std::uint32_t> kept_groups;  // by storage of the first source
  std::vector<std::uint32_t> group_of(pieces.size(), kNone);
  for (std::size_t begin = 0; begin < sorted.views().size();) {
    const std::size_t end = sorted.run(begin);
    const std::span<const std::uint32_t> views = sorted.views().subspan(begin, end - begin);
    const auto group = static_cast<std::uint32_t>(groups.size());
    for (const std::uint32_t piece : views) group_of[piece] = group;
    groups.push_back(judge(views, pieces, sorted, catalogs));
    const View& front = *pieces[views.front()].view;
    if (front.input == 0 && std::ranges::binary_search(kept, front.storage)) {
      groups.back().whole = true;
      kept_groups.emplace(front.storage, group);
    }
    begin = end;
  }

  Placer placer(pieces, schedule);
  std::vector<std::uint32_t> storage_of(pieces.size(), kNone);
  std::uint64_t compacted = 0;
  for (std::uint32_t i = 0; i < pieces.size(); ++i) {
    Shared* group = group_of[i] == kNone ? nullptr : &groups[group_of[i]];
    if (group && group->whole) {
      const View& view = *pieces[i].view;
      if (group->storage == kNone)
        group->storage =
            placer.add(whole_storage(view.input, view.storage, view.dtype, group->nbytes));
      ScheduledTensor& placed = placer.put(i, group->storage);
      placed.tensor.strides = view.strides;
      placed.tensor.offset = view.offset;
      continue;
    }
    // The sort is stable, so the first of tied pieces comes first here too.
    const std::uint32_t first = sorted.first(i);
    if (first == i) storage_of[i] = placer.add(own_storage(pieces[i]));
    ScheduledTensor& placed = placer.put(i, storage_of[first]);
    placed.compacted = group != nullptr;
    compacted += placed.compacted ? 1 : 0;
  }

  for (const std::uint32_t storage : kept) {
    const auto group = kept_groups.find(storage);
    const std::uint32_t placed =
        group != kept_groups.end()
            ? groups[group->second].storage
            : placer.add(
                  whole_storage(0, storage, DType::uint8, catalogs[0]->storages[storage].nbytes));
    schedule.output.surroundings.storages.emplace_back(storage, placed);
  }

  std::vector<std::uint32_t> users(schedule.storages.size());
  for (const ScheduledTensor& tensor : schedule.tensors) ++users[tensor.tensor.storage];
  for (ScheduledTensor& tensor : schedule.tensors) tensor.shares = users[tensor.tensor.storage] > 1;
  if (compacted > 0) {
    schedule.remarks.push_back(count_of(compacted, "tensor was", "tensors were") +
                               " compacted: " + (compacted == 1 ? "it used" : "they used") +
                               " less than half of their storage");
  }
}

Ties place_apart(std::vector<Piece> pieces, std::span<const Catalog* const> catalogs, TiesMode mode,
                 std::string_view format, Schedule& schedule) {
  const Sorted sorted(pieces, catalogs);
  std::map<std::uint32_t, std::vector<std::uint32_t>> ties;  // by first piece
  for (std::uint32_t i = 0; i < pieces.size(); ++i) {
    const std::uint32_t first = sorted.first(i);
    if (first == i) continue;
    std::vector<std::uint32_t>& names = ties[first];
    if (names.empty()) names.push_back(first);
    names.push_back(i);
  }

  // Views with bytes in common that are not one tensor.
  std::uint64_t overlapping = 0;
  for (std::size_t begin = 0; begin < sorted.views().size();) {
    const std::size_t end = sorted.run(begin);
    std::vector<std::pair<Extent, std::uint32_t>> extents;
    for (std::size_t i = begin; i < end; ++i) {
      const std::uint32_t piece = sorted.views()[i];
      if (sorted.first(piece) != piece) continue;
      const Extent extent = byte_extent(*pieces[piece].view);
      if (extent.second > extent.first) extents.emplace_back(extent, piece);
    }
    std::sort(extents.begin(), extents.end());
    std::uint64_t reach = 0;
    for (std::size_t i = 0; i < extents.size(); ++i) {
      const bool with_next =
          i + 1 < extents.size() && extents[i + 1].first.first < extents[i].first.second;
      if (extents[i].first.first < reach || with_next) ++overlapping;
      reach = std::max(reach, extents[i].first.second);
    }
    begin = end;
  }

  std::uint64_t repeated = 0;
  Placer placer(pieces, schedule);
  for (std::uint32_t i = 0; i < pieces.size(); ++i) {
    if (sorted.first(i) != i) {
      if (mode == TiesMode::first) {
        schedule.left_out.push_back(pieces[i].tensor.name);
        continue;
      }
      ++repeated;
    }
    const std::uint32_t storage = placer.add(own_storage(pieces[i]));
    placer.put(i, storage);
  }

  const std::string holds = ": " + std::string(format) + " holds no ";
  if (mode == TiesMode::duplicate && repeated > 0) {
    schedule.remarks.push_back(count_of(repeated, "tied tensor is", "tied tensors are") +
                               " written again" + holds + "ties");
  }
  if (!schedule.left_out.empty()) {
    const std::uint64_t count = schedule.left_out.size();
    schedule.remarks.push_back(count_of(count, "tied name is", "tied names are") +
                               " left out after the first" + holds + "ties");
  }
  if (overlapping > 0) {
    schedule.remarks.push_back(
        count_of(overlapping, "tensor has", "tensors have") + " bytes in common with another and " +
        (overlapping == 1 ? "is" : "are") + " written apart" + holds + "shared storages");
  }
  Ties result;
  if (mode == TiesMode::error) {
    for (auto& [first, names] : ties) result.push_back(std::move(names));
  }
  return result;
}

}  // namespace regraft
