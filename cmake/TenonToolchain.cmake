# Compiler, linker and warning settings that every target shares.
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)

if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang" OR CMAKE_CXX_COMPILER_VERSION VERSION_LESS 22)
  message(FATAL_ERROR "Tenon is built by clang >= 22 (musttail, preserve_none): use a preset, e.g. "
                      "cmake --preset release; tools/setup.sh installs the compiler")
endif()

find_program(TENON_CCACHE ccache)
if(TENON_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_C_COMPILER_LAUNCHER ${TENON_CCACHE})
  # What ccache needs to be told to share objects between checkouts and to accept precompiled headers.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      ${TENON_CCACHE})
endif()

add_library(tenon_flags INTERFACE)
target_compile_options(tenon_flags INTERFACE
  -Wall -Wextra -Werror -Wno-unused-parameter -Wimplicit-fallthrough -Wno-c99-designator
  -fno-omit-frame-pointer -ftls-model=initial-exec
  -ffp-contract=off   # an interpreter must not fuse what the guest wrote as two roundings
  $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor>
  $<$<COMPILE_LANGUAGE:CXX>:SHELL:-Xclang -fno-pch-timestamp>)
target_link_options(tenon_flags INTERFACE -fuse-ld=lld -Wl,--gc-sections)
if(NOT TENON_SANITIZE)  # a sanitizer's runtime is in the program, not in shared libraries
  target_link_options(tenon_flags INTERFACE -Wl,--no-undefined)
endif()
target_compile_options(tenon_flags INTERFACE -ffunction-sections -fdata-sections)
# SSE4.2 is the x86-64 baseline: rounding, blends and byte shuffles of sem:: are single instructions.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
  target_compile_options(tenon_flags INTERFACE -march=x86-64-v2)
endif()
if(TENON_SANITIZE)
  # The check of function pointers reads what lies before a function; before guests' machine code there may be nothing.
  target_compile_options(tenon_flags INTERFACE -fsanitize=${TENON_SANITIZE} -fno-sanitize=function -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${TENON_SANITIZE})
endif()
foreach(pair IN ITEMS address:asan thread:tsan)
  if(pair MATCHES "^${TENON_SANITIZE}:(.*)")
    target_sources(tenon_flags INTERFACE
      $<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:${CMAKE_CURRENT_LIST_DIR}/${CMAKE_MATCH_1}_options.cpp>)
  endif()
endforeach()
if(TENON_FUZZ)
  target_compile_options(tenon_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
# Plain variables: project() has already put empty ones into the cache.
set(CMAKE_CXX_FLAGS_DEV "-O1 -g1")
set(CMAKE_C_FLAGS_DEV "-O1 -g1")
