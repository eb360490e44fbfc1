// Catch2 2 makes main() from its header, once and slowly, so in a file of its own. Catch2 3 has it
// in a library and ignores the macro.
#define CATCH_CONFIG_MAIN
#include "catch.h"
