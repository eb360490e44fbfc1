# Finds LibTorch and makes the target regraft::libtorch of it: its headers, and of its libraries the
# two that compute on the CPU. find_package(Torch) is not asked: a CUDA build of torch needs the CUDA
# toolkit for it, and nothing here does.
#
# REGRAFT_TORCH_DIR names the folder; without it, the python3 on the path is asked where its torch
# is. A project that has found LibTorch already has a target `torch`: that one is used.
#
# Sets regraft_libtorch_found to "2.13.0 in /path" or, when there is none, to "".
# Version and folder are properties of the target too: a second find_package() meets it made.

set(REGRAFT_TORCH_DIR "$ENV{REGRAFT_TORCH_DIR}" CACHE PATH
  "Folder with include/ and lib/ of LibTorch: the unpacked zip, or site-packages/torch")

# The first version with all dtypes of the catalog (float4_e2m1fn_x2), and with std::string as every
# C++ library has it today.
set(regraft_libtorch_oldest 2.8.0)

# regraft_libtorch_version(OUT INCLUDE_DIR): empty when the folder has no headers of LibTorch.
function(regraft_libtorch_version out include_dir)
  set(version "")
  foreach(header headeronly/version.h csrc/api/include/torch/version.h)
    set(header "${include_dir}/torch/${header}")
    if(NOT version AND EXISTS "${header}")
      file(STRINGS "${header}" lines REGEX "define TORCH_VERSION_(MAJOR|MINOR|PATCH) +[0-9]+")
      string(REGEX REPLACE "[^0-9;]+" "" numbers "${lines}")
      list(JOIN numbers "." version)
    endif()
  endforeach()
  set(${out} "${version}" PARENT_SCOPE)
endfunction()

# Without importing it, which takes seconds. From "/", since Python would take a folder `torch` of
# the working directory for the package.
function(regraft_libtorch_of_python out)
  execute_process(
    COMMAND python3 -c "import importlib.util as u; s = u.find_spec('torch'); print(*(s.submodule_search_locations or [])[:1] if s else [])"
    WORKING_DIRECTORY / OUTPUT_VARIABLE folder OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(NOT EXISTS "${folder}/lib/libtorch_cpu.so")
    set(folder "")
  endif()
  set(${out} "${folder}" PARENT_SCOPE)
endfunction()

function(regraft_find_libtorch)
  set(regraft_libtorch_found "" PARENT_SCOPE)
  set(folder "${REGRAFT_TORCH_DIR}")
  set(include_dirs "")
  if(TARGET torch)
    set(libraries torch)
    if(TORCH_LIBRARIES)
      set(libraries "${TORCH_LIBRARIES}")
    endif()
    get_target_property(include_dirs torch INTERFACE_INCLUDE_DIRECTORIES)
    list(GET include_dirs 0 folder)
    get_filename_component(folder "${folder}" DIRECTORY)
  else()
    if(NOT folder)
      regraft_libtorch_of_python(folder)
    elseif(NOT EXISTS "${folder}/include/ATen/ATen.h" OR NOT EXISTS "${folder}/lib/libtorch_cpu.so")
      message(FATAL_ERROR "REGRAFT_TORCH_DIR: ${folder} has no include/ATen/ATen.h and "
        "lib/libtorch_cpu.so; it has to be an unpacked LibTorch or site-packages/torch")
    endif()
    if(NOT folder)
      return()
    endif()
    set(include_dirs "${folder}/include" "${folder}/include/torch/csrc/api/include")
    set(libraries "${folder}/lib/libtorch_cpu.so" "${folder}/lib/libc10.so")
  endif()

  regraft_libtorch_version(version "${folder}/include")
  if(version VERSION_LESS regraft_libtorch_oldest)
    message(${ARGN} "regraft: LibTorch '${version}' in ${folder} is too old; "
      "${regraft_libtorch_oldest} is the oldest that has what is needed")
    return()
  endif()

  # Global: whoever links regraft::torch has to see it, wherever that is.
  add_library(regraft::libtorch INTERFACE IMPORTED GLOBAL)
  set_target_properties(regraft::libtorch PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${include_dirs}"
    INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${include_dirs}"
    INTERFACE_LINK_LIBRARIES "${libraries}"
    REGRAFT_VERSION "${version}"
    REGRAFT_FOLDER "${folder}")
  set(regraft_libtorch_found "${version} in ${folder}" PARENT_SCOPE)
  set(regraft_libtorch_version "${version}" PARENT_SCOPE)
  set(regraft_libtorch_folder "${folder}" PARENT_SCOPE)
endfunction()
