# tenon_library(FOLDER DEPENDS …): one static library for each folder, `tenon::<name>`.
#
# Headers are included as "folder/header.h". Each target's include path holds a link to its own folder only, and
# dependencies add theirs, so an include that the design forbids (kernels/ → engine/, say) does not compile.

function(tenon_include_root folder out)
  string(MAKE_C_IDENTIFIER ${folder} id)
  set(root ${CMAKE_BINARY_DIR}/include-roots/${id})
  file(MAKE_DIRECTORY ${root})
  if(NOT EXISTS ${root}/${folder})
    file(CREATE_LINK ${CMAKE_SOURCE_DIR}/${folder} ${root}/${folder} SYMBOLIC)
  endif()
  set(${out} ${root} PARENT_SCOPE)
endfunction()

function(tenon_library name)
  cmake_parse_arguments(ARG "" "FOLDER" "DEPENDS;PRIVATE_DEPENDS;EXCLUDE" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${ARG_FOLDER}/*.cpp
       ${CMAKE_SOURCE_DIR}/${ARG_FOLDER}/*.c ${CMAKE_SOURCE_DIR}/${ARG_FOLDER}/*.S)
  foreach(pattern IN LISTS ARG_EXCLUDE)
    list(FILTER sources EXCLUDE REGEX "/${ARG_FOLDER}/${pattern}")
  endforeach()
  tenon_include_root(${ARG_FOLDER} root)
  if(sources)
    add_library(tenon_${name} STATIC ${sources})
    target_include_directories(tenon_${name} PUBLIC ${root})
    target_link_libraries(tenon_${name} PUBLIC ${ARG_DEPENDS} PRIVATE ${ARG_PRIVATE_DEPENDS} tenon_flags)
    tenon_pch(tenon_${name})
  else()
    add_library(tenon_${name} INTERFACE)
    target_include_directories(tenon_${name} INTERFACE ${root})
    target_link_libraries(tenon_${name} INTERFACE ${ARG_DEPENDS})
  endif()
  add_library(tenon::${name} ALIAS tenon_${name})
endfunction()

# The standard headers that nearly every file uses; files still include what they use. System headers only, and by name:
# the generated header then has no path of this checkout in it, and compiler caches can serve others.
set(TENON_PCH_HEADERS algorithm array bit cstddef cstdint cstring expected functional limits map memory
    mutex optional span string string_view unordered_map utility variant vector fmt/format.h)
function(tenon_pch target)
  foreach(header IN LISTS TENON_PCH_HEADERS)
    target_precompile_headers(${target} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:<${header}$<ANGLE-R>>")
  endforeach()
endfunction()

# tenon_plugin(NAME): <build>/tenon-<NAME>.so from tenon::<NAME>, which defines TENON_PLUGIN (engine/runtime/plugin.h).
# It exports that one function; everything of the engine in it is its own, hidden.
function(tenon_plugin name)
  add_library(tenon_${name}_plugin MODULE ${CMAKE_SOURCE_DIR}/cmake/plugin.cpp)
  target_link_libraries(tenon_${name}_plugin PRIVATE tenon::${name} tenon_flags)
  target_link_options(tenon_${name}_plugin PRIVATE -Wl,-u,tenon_plugin_exchange
                      -Wl,--version-script=${CMAKE_SOURCE_DIR}/cmake/plugin.map)
  set_target_properties(tenon_${name}_plugin PROPERTIES PREFIX "" OUTPUT_NAME tenon-${name} LINK_DEPENDS
                        ${CMAKE_SOURCE_DIR}/cmake/plugin.map LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
endfunction()
