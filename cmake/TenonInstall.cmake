# What `cmake --install` and `cpack -G DEB` put where. Three components, Debian packages of the same names: tenon (the
# program), libtenon1 (library and plugins), libtenon-dev (headers, static library, CMake and pkg-config files).
# Plugins lie in <libdir>/tenon, where library and program look (engine/runtime/plugin.cpp).
include(CMakePackageConfigHelpers)
set(CMAKE_INSTALL_LIBDIR lib CACHE PATH "Libraries; plugins are found in ../lib/tenon from the program")
include(GNUInstallDirs)
set(TENON_INCLUDEDIR ${CMAKE_INSTALL_INCLUDEDIR}/tenon)
set(TENON_CMAKEDIR ${CMAKE_INSTALL_LIBDIR}/cmake/Tenon)

install(TARGETS tenon RUNTIME COMPONENT tenon)
install(TARGETS tenon_shared EXPORT TenonTargets
        LIBRARY COMPONENT libtenon1 NAMELINK_COMPONENT libtenon-dev
        INCLUDES DESTINATION ${TENON_INCLUDEDIR})
set_target_properties(tenon_shared PROPERTIES EXPORT_NAME tenon)
foreach(plugin IN ITEMS jit nn)
  if(TARGET tenon_${plugin}_plugin)
    install(TARGETS tenon_${plugin}_plugin LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/tenon COMPONENT libtenon1)
  endif()
endforeach()

install(FILES engine/api/tenon.h engine/api/tenon.hpp engine/api/wasm.h DESTINATION ${TENON_INCLUDEDIR}
        COMPONENT libtenon-dev)
install(FILES ${CMAKE_BINARY_DIR}/libtenon.a DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT libtenon-dev)
install(EXPORT TenonTargets NAMESPACE tenon:: DESTINATION ${TENON_CMAKEDIR} COMPONENT libtenon-dev)
configure_package_config_file(cmake/TenonConfig.cmake.in ${CMAKE_BINARY_DIR}/TenonConfig.cmake
                              INSTALL_DESTINATION ${TENON_CMAKEDIR}
                              PATH_VARS CMAKE_INSTALL_LIBDIR TENON_INCLUDEDIR)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/TenonConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/TenonConfig.cmake ${CMAKE_BINARY_DIR}/TenonConfigVersion.cmake
        DESTINATION ${TENON_CMAKEDIR} COMPONENT libtenon-dev)
configure_file(cmake/tenon.pc.in ${CMAKE_BINARY_DIR}/tenon.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/tenon.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT libtenon-dev)
foreach(component IN ITEMS tenon libtenon1 libtenon-dev)
  install(FILES LICENSE RENAME copyright DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${component} COMPONENT ${component})
endforeach()

set(CPACK_PACKAGE_NAME tenon)
set(CPACK_PACKAGE_VENDOR "The Tenon authors")
set(CPACK_PACKAGE_CONTACT "The Tenon authors <tenon@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "WebAssembly engine with neural-network inference built in")
set(CPACK_GENERATOR TGZ)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL tenon libtenon1 libtenon-dev)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SECTION interpreters)
set(exactly "(= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_TENON_PACKAGE_NAME tenon)
set(CPACK_DEBIAN_TENON_PACKAGE_DEPENDS "libtenon1 ${exactly}")  # for its plugins
set(CPACK_DEBIAN_LIBTENON1_PACKAGE_NAME libtenon1)
set(CPACK_DEBIAN_LIBTENON1_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIBTENON1_PACKAGE_CONTROL_EXTRA ${CMAKE_CURRENT_LIST_DIR}/debian/triggers)
set(CPACK_DEBIAN_LIBTENON-DEV_PACKAGE_NAME libtenon-dev)
set(CPACK_DEBIAN_LIBTENON-DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_LIBTENON-DEV_PACKAGE_DEPENDS "libtenon1 ${exactly}")
set(CPACK_COMPONENT_TENON_DESCRIPTION "The program tenon: runs and inspects WebAssembly modules and models.")
set(CPACK_COMPONENT_LIBTENON1_DESCRIPTION "The engine as a library, its compiler and its inference kernels.")
set(CPACK_COMPONENT_LIBTENON-DEV_DESCRIPTION "Headers (tenon.h, tenon.hpp, wasm.h) and files to build against libtenon.")
include(CPack)
