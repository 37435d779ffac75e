# SPDX-License-Identifier: Apache-2.0
# text_header(INPUT OUTPUT NAME): a header with the text of a file as the constant `char NAME[]`. As
# numbers, since a string literal of that length is more than C asks of a compiler.
function(text_header input output name)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${input}")
    file(READ "${input}" bytes HEX)
    string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
    string(REGEX REPLACE "(................................................................................)"
        "\\1\n" bytes "${bytes}")
    file(CONFIGURE OUTPUT "${output}" @ONLY
        CONTENT "/* Generated. */\nstatic const char @name@[] = {\n@bytes@0};\n")
endfunction()
