# CTest: installs the build into a folder and looks at what is there.
#   cmake -D BUILD=… -D PREFIX=… -P stage.cmake
file(REMOVE_RECURSE ${PREFIX})
execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${PREFIX} COMMAND_ERROR_IS_FATAL ANY
                OUTPUT_QUIET)
foreach(file IN ITEMS bin/tenon lib/libtenon.so.1 lib/libtenon.so lib/libtenon.a include/tenon/tenon.h
        include/tenon/tenon.hpp include/tenon/wasm.h lib/cmake/Tenon/TenonConfig.cmake lib/pkgconfig/tenon.pc)
  if(NOT EXISTS ${PREFIX}/${file})
    message(FATAL_ERROR "${file} was not installed")
  endif()
endforeach()

# Only the public interface leaves the library, with its version.
execute_process(COMMAND nm -D --defined-only --with-symbol-versions ${PREFIX}/lib/libtenon.so
                OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[^\n]+" lines "${symbols}")
foreach(line IN LISTS lines)
  if(NOT line MATCHES " [TA] (tenon|wasm)_[a-z0-9_]+@@TENON_1$" AND NOT line MATCHES " A TENON_1")
    message(FATAL_ERROR "libtenon.so exports what is not public: ${line}")
  endif()
endforeach()
if(NOT symbols MATCHES "wasm_func_call@@TENON_1" OR NOT symbols MATCHES "tenon_func_call@@TENON_1")
  message(FATAL_ERROR "libtenon.so lacks a part of its interface:\n${symbols}")
endif()

# The installed program and its plugins find each other.
execute_process(COMMAND ${PREFIX}/bin/tenon --version COMMAND_ERROR_IS_FATAL ANY OUTPUT_VARIABLE version)
message(STATUS "installed: ${version}")
if(EXISTS ${PREFIX}/lib/tenon/tenon-nn.so)
  execute_process(COMMAND ${PREFIX}/bin/tenon nn inspect --help COMMAND_ERROR_IS_FATAL ANY OUTPUT_QUIET)
endif()
