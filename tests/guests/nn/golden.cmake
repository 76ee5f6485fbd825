# CTest: a guest runs every case of MODEL/golden/golden.json, once with the model by name and once from its bytes.
#   cmake -D ENGINE= -D TENON= -D WASM=golden.wasm -D SOURCE_DIR= -D MODEL= -P golden.cmake
# MODEL is a folder below the repository, or of the test data (TENON_TEST_DATA, or ../shared/data beside the repository).
# The tolerance is that of the test data: ten times max_abs_difference_with_graph_optimisation_on, at least 1e-5
# relative to the largest output.
cmake_minimum_required(VERSION 3.25)

set(data ${SOURCE_DIR}/../shared/data)
if(DEFINED ENV{TENON_TEST_DATA})
  set(data $ENV{TENON_TEST_DATA})
endif()
set(folder ${SOURCE_DIR}/${MODEL})
if(NOT EXISTS ${folder})
  set(folder ${data}/${MODEL})
endif()
if(NOT EXISTS ${folder}/golden/golden.json)
  message("SKIP: ${MODEL} is not there; TENON_TEST_DATA names the folder of the test data")
  return()
endif()

file(READ ${folder}/golden/golden.json golden)
string(JSON model GET "${golden}" model)
string(JSON difference ERROR_VARIABLE absent GET "${golden}" max_abs_difference_with_graph_optimisation_on)
set(tolerance 0)
if(NOT absent)
  # CMake computes with integers only; a decimal exponent multiplies by ten.
  if(difference MATCHES "^([^e]*)e(.*)$")
    math(EXPR exponent "${CMAKE_MATCH_2} + 1")
    set(tolerance ${CMAKE_MATCH_1}e${exponent})
  else()
    set(tolerance ${difference}e1)
  endif()
endif()

# Tensors of one case as arguments KIND:FILE:TYPE:DIMS.
function(tensors kind case key out)
  string(JSON count LENGTH "${case}" ${key})
  math(EXPR last "${count} - 1")
  set(arguments "")
  foreach(i RANGE ${last})
    string(JSON file GET "${case}" ${key} ${i} file)
    string(JSON type GET "${case}" ${key} ${i} dtype)
    string(JSON shape GET "${case}" ${key} ${i} shape)
    string(REGEX MATCHALL "[0-9]+" dims ${shape})
    string(REPLACE ";" "x" dims "${dims}")
    list(APPEND arguments ${kind}:${file}:${type}:${dims})
  endforeach()
  set(${out} ${arguments} PARENT_SCOPE)
endfunction()

string(JSON count LENGTH "${golden}" cases)
math(EXPR last "${count} - 1")
foreach(i RANGE ${last})
  string(JSON case GET "${golden}" cases ${i})
  tensors(in "${case}" inputs inputs)
  tensors(out "${case}" outputs outputs)
  foreach(name IN ITEMS by-name ${model})
    execute_process(
      COMMAND ${TENON} run --engine=${ENGINE} --dir . --nn-graph by-name=${folder}/${model}
              ${WASM} ${name} ${tolerance} ${inputs} ${outputs}
      WORKING_DIRECTORY ${folder} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE error)
    message("case ${i}, model ${name}:\n${output}${error}")
    if(NOT result EQUAL 0 OR NOT output MATCHES "\nok\n")
      message(FATAL_ERROR "exit code ${result}")
    endif()
  endforeach()
endforeach()
