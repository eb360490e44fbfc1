# What `cmake --install` puts where: the program with its plug-in, the library with its CMake package
# and its pkg-config file.
include(CMakePackageConfigHelpers)
set(regraft_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/regraft")

if(TARGET regraft)
  install(TARGETS regraft RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
endif()

set_target_properties(regraft_core PROPERTIES OUTPUT_NAME regraft EXPORT_NAME regraft)
target_include_directories(regraft_core
  INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
install(TARGETS regraft_core EXPORT regraft-targets
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(EXPORT regraft-targets NAMESPACE regraft:: DESTINATION "${regraft_package_dir}")
install(DIRECTORY rules DESTINATION "${CMAKE_INSTALL_DATADIR}/regraft")
install(FILES include/regraft/regraft.h DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/regraft")

# A set of its own: who does without LibTorch never reads it.
set(regraft_with_torch OFF)
if(TARGET regraft_torch)
  set(regraft_with_torch ON)
  set_target_properties(regraft_torch PROPERTIES OUTPUT_NAME regraft-torch EXPORT_NAME torch)
  install(TARGETS regraft_torch EXPORT regraft-torch-targets
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
  install(EXPORT regraft-torch-targets NAMESPACE regraft:: DESTINATION "${regraft_package_dir}")
  install(FILES include/regraft/torch.h DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/regraft")
  install(FILES cmake/RegraftLibtorch.cmake DESTINATION "${regraft_package_dir}")
  # LibTorch stays where it is, which may be below build/: it is not ours to install.
  set_target_properties(regraft_torch_plugin PROPERTIES
    INSTALL_RPATH "${regraft_libtorch_folder}/lib")
  # Where the program looks, whatever this system calls its lib/.
  install(TARGETS regraft_torch_plugin LIBRARY DESTINATION lib/regraft)
endif()

set(regraft_rules_dir "${CMAKE_INSTALL_DATADIR}/regraft/rules")
configure_package_config_file(cmake/regraft-config.cmake.in
  "${PROJECT_BINARY_DIR}/regraft-config.cmake" INSTALL_DESTINATION "${regraft_package_dir}"
  PATH_VARS regraft_rules_dir)
# Until 1.0 a minor version may change the API.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/regraft-config-version.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES
  "${PROJECT_BINARY_DIR}/regraft-config.cmake" "${PROJECT_BINARY_DIR}/regraft-config-version.cmake"
  DESTINATION "${regraft_package_dir}")

# Found from where the file lies, so that the folder may be moved, or named by --prefix.
set(regraft_pc_dir "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig")
file(RELATIVE_PATH regraft_pc_libdir "${regraft_pc_dir}" "${CMAKE_INSTALL_FULL_LIBDIR}")
file(RELATIVE_PATH regraft_pc_includedir "${regraft_pc_dir}" "${CMAKE_INSTALL_FULL_INCLUDEDIR}")
configure_file(cmake/regraft.pc.in "${PROJECT_BINARY_DIR}/regraft.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/regraft.pc"
  DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
