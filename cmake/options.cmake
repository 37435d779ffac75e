# SPDX-License-Identifier: Apache-2.0
# What every target of our own is compiled with; the interface target shmconf stays free of it.
add_library(shmconf_options INTERFACE)
target_compile_features(shmconf_options INTERFACE c_std_11)
target_compile_definitions(shmconf_options INTERFACE _GNU_SOURCE)
target_compile_options(shmconf_options INTERFACE
    -Wall -Wextra -Wpedantic -Wconversion -Wshadow -fno-common
    $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes>)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_CXX_EXTENSIONS OFF)

if(SHMCONF_WERROR)
    target_compile_options(shmconf_options INTERFACE -Werror)
endif()
if(SHMCONF_SANITIZE)
    target_compile_options(shmconf_options INTERFACE
        -fsanitize=${SHMCONF_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g)
    target_link_options(shmconf_options INTERFACE -fsanitize=${SHMCONF_SANITIZE})
endif()
if(SHMCONF_COVERAGE)
    target_compile_options(shmconf_options INTERFACE --coverage)
    target_link_options(shmconf_options INTERFACE --coverage)
endif()
if(SHMCONF_FUZZ)
    # Coverage counters in every module; only the targets themselves get libFuzzer's main.
    target_compile_options(shmconf_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
