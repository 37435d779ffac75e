# SPDX-License-Identifier: Apache-2.0
# cmake -DINPUT=include/shmconf.h -DOUTPUT=shmconf-single.h -DVERSION=1.2.3 -P single_header.cmake
# Puts the text of every "shmconf/..." header in the place of its first #include, so that one file can
# be copied into a project. Include guards stay: beside the installed header it does no harm.
cmake_minimum_required(VERSION 3.22)
get_filename_component(folder "${INPUT}" DIRECTORY)

# expand(TEXT OUT): TEXT with its includes replaced. `seen` holds the headers that are in already.
# In the branches of an #if ... #else of shmconf.h each branch needs its own copy; the headers below
# it include one another unconditionally.
function(expand rest out)
    set(done "")
    set(directive "(^|\n)#[ \t]*(include[ \t]*[<\"](shmconf/[^>\"]+)[>\"]|else|endif)[^\n]*")
    while(rest MATCHES "${directive}")
        set(line "${CMAKE_MATCH_0}")
        set(word "${CMAKE_MATCH_2}")
        set(header "${CMAKE_MATCH_3}")
        string(FIND "${rest}" "${line}" at)
        string(LENGTH "${line}" size)
        math(EXPR after "${at} + ${size}")
        string(SUBSTRING "${rest}" 0 ${at} before)
        string(SUBSTRING "${rest}" ${after} -1 rest)
        string(APPEND done "${before}")
        if(NOT header)
            string(APPEND done "${line}")
            if(word STREQUAL "else" AND NOT is_nested)
                set(seen_before_else "${seen}")
                set(seen "")
            elseif(word STREQUAL "endif" AND DEFINED seen_before_else)
                foreach(name IN LISTS seen)
                    if(NOT name IN_LIST seen_before_else)
                        list(REMOVE_ITEM seen "${name}")
                    endif()
                endforeach()
                unset(seen_before_else)
            endif()
        elseif(NOT header IN_LIST seen)
            list(APPEND seen "${header}")
            file(READ "${folder}/${header}" text)
            string(REGEX REPLACE "^/\\* SPDX-License-Identifier:[^\n]*\n" "" text "${text}")
            set(is_nested yes)
            expand("${text}" text)
            unset(is_nested)
            string(APPEND done "\n\n/* ---- ${header} ---- */\n${text}")
        endif()
    endwhile()
    set(${out} "${done}${rest}" PARENT_SCOPE)
    set(seen "${seen}" PARENT_SCOPE)
endfunction()

file(READ "${INPUT}" text)
string(REGEX REPLACE "^/\\* SPDX-License-Identifier:[^\n]*\n" "" text "${text}")
expand("${text}" text)
string(REGEX REPLACE "\n\n\n+" "\n\n" text "${text}")
set(text "/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* shmconf ${VERSION} in one file, generated from include/: change it there. */
${text}")

# An unchanged file keeps its time, so that nothing is compiled again.
set(old "")
if(EXISTS "${OUTPUT}")
    file(READ "${OUTPUT}" old)
endif()
if(NOT old STREQUAL text)
    file(WRITE "${OUTPUT}" "${text}")
endif()
