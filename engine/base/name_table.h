// Names found by their hash, in one piece of memory: a name that is not there is one look at it,
// where std::unordered_map goes from node to node.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace regraft {

// Numbers by names that stand elsewhere. `name_of(number)` gives the name of one that was put.
class NameTable {
 public:
  static constexpr std::uint32_t kNone = 0xFFFFFFFF;

  NameTable() = default;
  explicit NameTable(std::size_t names) { make_room(names); }

  // The number under the name, or kNone.
  template <typename NameOf>
  [[nodiscard]] std::uint32_t find(std::string_view name, const NameOf& name_of) const {
    return slots_.empty() ? kNone : slots_[place_of(name, hash(name), name_of)].number;
  }

  // The number under the name, to be read or changed: `number`, where there was none.
  template <typename NameOf>
  std::uint32_t& put(std::string_view name, std::uint32_t number, const NameOf& name_of) {
    if (2 * (size_ + 1) > slots_.size()) make_room(2 * (size_ + 1));
    const std::uint32_t hash_of_name = hash(name);
    Slot& slot = slots_[place_of(name, hash_of_name, name_of)];
    if (slot.number == kNone) {
      slot = {hash_of_name, number};
      ++size_;
    }
    return slot.number;
  }

 private:
  struct Slot {
    std::uint32_t hash = 0;
    std::uint32_t number = kNone;  // kNone: free
  };

  static std::uint32_t hash(std::string_view name) {
    return static_cast<std::uint32_t>(std::hash<std::string_view>()(name));
  }

  // Where the name stands, or the free slot where it would.
  template <typename NameOf>
  std::size_t place_of(std::string_view name, std::uint32_t hash, const NameOf& name_of) const {
    for (std::size_t at = hash;; ++at) {
      const Slot& slot = slots_[at & (slots_.size() - 1)];
      if (slot.number == kNone || (slot.hash == hash && name_of(slot.number) == name))
        return at & (slots_.size() - 1);
    }
  }

  // For so many names, and half of it free.
  void make_room(std::size_t names) {
    std::size_t size = 16;
    while (size < 2 * names) size *= 2;
    std::vector<Slot> slots(size);
    for (const Slot& slot : slots_) {
      if (slot.number == kNone) continue;
      std::size_t at = slot.hash;
      while (slots[at & (size - 1)].number != kNone) ++at;
      slots[at & (size - 1)] = slot;
    }
    slots_ = std::move(slots);
  }

  std::vector<Slot> slots_;  // none, or a power of two
  std::size_t size_ = 0;
};

// Names of which nothing is wanted but whether they came before.
class NameSet {
 public:
  [[nodiscard]] bool empty() const { return ends_.empty(); }
  // False when it was there.
  bool insert(std::string_view name) {
    const auto number = static_cast<std::uint32_t>(ends_.size());
    const auto name_of = [&](std::uint32_t one) {
      const std::size_t begin = one == 0 ? 0 : ends_[one - 1];
      return std::string_view(text_).substr(begin, ends_[one] - begin);
    };
    if (table_.put(name, number, name_of) != number) return false;
    text_ += name;
    ends_.push_back(text_.size());
    return true;
  }

 private:
  std::string text_;               // all of them
  std::vector<std::size_t> ends_;  // in `text_`
  NameTable table_;
};

}  // namespace regraft
