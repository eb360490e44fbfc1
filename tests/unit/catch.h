// Catch2 under one name. Debian 12 has version 2, which everything here is tested with; the branch
// for version 3 is untested.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>
#endif
