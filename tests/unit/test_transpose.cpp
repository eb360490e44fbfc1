#include <cstring>
#include <vector>

#include "catch.h"
#include "execute/transpose.h"
#include "test_execute_support.h"

namespace regraft {
namespace {

TEST_CASE("rows become columns, whatever the size and the place") {
  const std::size_t size = GENERATE(1, 2, 4, 8, 16);
  const std::vector<std::size_t> sides = {1, 2, 3, 7, 8, 9, 15, 16, 17, 33, 63, 64, 65, 130};
  std::size_t wrong = 0;
  for (const std::size_t rows : sides)
    for (const std::size_t columns : sides) {
      // Both lie in larger tensors, and no place is aligned.
      const std::size_t from_stride = (columns + 3) * size + 1, to_stride = (rows + 2) * size + 1;
      const std::string source =
          test::noise(rows * from_stride + 1, static_cast<std::uint32_t>(rows * 131 + columns));
      std::string target(columns * to_stride + 1, '\x5A');
      std::string wanted = target;
      for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t c = 0; c < columns; ++c)
          std::memcpy(wanted.data() + 1 + c * to_stride + r * size,
                      source.data() + 1 + r * from_stride + c * size, size);
      transpose(reinterpret_cast<std::byte*>(target.data()) + 1, to_stride,
                reinterpret_cast<const std::byte*>(source.data()) + 1, from_stride, rows, columns,
                size);
      wrong += target != wanted;
    }
  CHECK(wrong == 0);
}

}  // namespace
}  // namespace regraft
