# What computes tensors: the library regraft::torch, and the plug-in of the program.
set(REGRAFT_TORCH AUTO CACHE STRING
  "Build what computes tensors with LibTorch: ON, OFF, or AUTO for when it is found")
set_property(CACHE REGRAFT_TORCH PROPERTY STRINGS AUTO ON OFF)

# What ./dev builds: the program, and its plug-in where there is one.
add_custom_target(regraft_program)
if(TARGET regraft)
  add_dependencies(regraft_program regraft)
endif()

if(NOT REGRAFT_TORCH)
  message(STATUS "regraft: without LibTorch (REGRAFT_TORCH=${REGRAFT_TORCH})")
  return()
endif()

include("${CMAKE_CURRENT_LIST_DIR}/RegraftLibtorch.cmake")
if(REGRAFT_TORCH STREQUAL "AUTO")
  regraft_find_libtorch(WARNING)
else()
  regraft_find_libtorch(FATAL_ERROR)
endif()
set(regraft_how_to_get "-DREGRAFT_TORCH_DIR=FOLDER names an unpacked LibTorch or site-packages/torch")
if(regraft_libtorch_found)
  message(STATUS "regraft: LibTorch ${regraft_libtorch_found}")
elseif(REGRAFT_TORCH STREQUAL "AUTO")
  message(STATUS "regraft: no LibTorch found, so nothing that computes: ${regraft_how_to_get}")
  return()
else()
  message(FATAL_ERROR "REGRAFT_TORCH=${REGRAFT_TORCH}, and no LibTorch is found: "
    "${regraft_how_to_get}")
endif()

# module.cpp, the API for nn::Module, is the one file here that includes torch/torch.h.
file(GLOB regraft_torch_sources CONFIGURE_DEPENDS engine/torch/*.cpp)
list(FILTER regraft_torch_sources EXCLUDE REGEX "/plugin\\.cpp$")
add_library(regraft_torch STATIC ${regraft_torch_sources})
add_library(regraft::torch ALIAS regraft_torch)
set_target_properties(regraft_torch PROPERTIES POSITION_INDEPENDENT_CODE ON)
regraft_set_options(regraft_torch)
target_compile_definitions(regraft_torch PRIVATE
  AT_PER_OPERATOR_HEADERS  # <ATen/ops/add.h> for one operator, not all of them
  REGRAFT_LIBTORCH_BUILT="${regraft_libtorch_folder}/lib/libtorch_cpu.so")
# Drawn numbers get their mean and deviation here: see expr/random.cpp.
set_source_files_properties(engine/torch/evaluator.cpp PROPERTIES COMPILE_OPTIONS -ffp-contract=off)
target_link_libraries(regraft_torch PUBLIC regraft_core regraft::libtorch PRIVATE ${CMAKE_DL_LIBS})

# Opened by the program, so it lies beside it and is named by its file. It exports one function:
# the core that it contains must not mix with the program's own.
add_library(regraft_torch_plugin MODULE engine/torch/plugin.cpp)
regraft_set_options(regraft_torch_plugin)
set(regraft_plugin_map "${PROJECT_SOURCE_DIR}/engine/torch/plugin.map")
set_target_properties(regraft_torch_plugin PROPERTIES
  OUTPUT_NAME regraft_torch
  LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}"
  CXX_VISIBILITY_PRESET hidden
  VISIBILITY_INLINES_HIDDEN ON
  LINK_DEPENDS "${regraft_plugin_map}")
target_link_libraries(regraft_torch_plugin PRIVATE regraft_torch)
target_link_options(regraft_torch_plugin PRIVATE
  "-Wl,--version-script=${regraft_plugin_map}" -Wl,--exclude-libs,ALL -Wl,--no-undefined
  # Not what the core needs for reading YAML.
  -Wl,--as-needed)
add_dependencies(regraft_program regraft_torch_plugin)

# Without the sanitizers: under them LibTorch takes many times as long to start, and what they find is
# inside it. The tests of what is computed here are a program of their own, so that the unit tests
# neither wait for LibTorch nor need it.
option(REGRAFT_BUILD_TORCH_TESTS "Build the tests of what LibTorch computes" "${REGRAFT_BUILD_TESTS}")
if(REGRAFT_BUILD_TORCH_TESTS)
  file(GLOB regraft_torch_unit_sources CONFIGURE_DEPENDS tests/torch/*.cpp)
  add_executable(regraft_torch_unit ${regraft_torch_unit_sources} tests/unit/main.cpp)
  regraft_set_options(regraft_torch_unit)
  set_target_properties(regraft_torch_unit PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}")
  target_include_directories(regraft_torch_unit PRIVATE tests/unit)
  target_compile_definitions(regraft_torch_unit PRIVATE AT_PER_OPERATOR_HEADERS)
  target_link_libraries(regraft_torch_unit PRIVATE regraft_torch)
  regraft_link_catch(regraft_torch_unit)
  enable_testing()
  add_test(NAME torch COMMAND regraft_torch_unit)
endif()
