# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` puts where. Component `development` is the header and what finds it, which
# needs nothing but a C compiler; component `runtime` is the daemon and the tool.
include(CMakePackageConfigHelpers)

# The header is the same on every architecture, so its package lives in share/ and not in lib/.
set(SHMCONF_CMAKE_DIR "${CMAKE_INSTALL_DATADIR}/cmake/shmconf")
set(SHMCONF_PKGCONFIG_DIR "${CMAKE_INSTALL_DATADIR}/pkgconfig")

install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
    COMPONENT development FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")

# The single file is made in the build, and again by an install without a build: neither is ever stale.
set(single_header "${PROJECT_BINARY_DIR}/include/shmconf-single.h")
set(single_header_command "${CMAKE_COMMAND}" "-DINPUT=${PROJECT_SOURCE_DIR}/include/shmconf.h"
    "-DOUTPUT=${single_header}" "-DVERSION=${PROJECT_VERSION}"
    -P "${PROJECT_SOURCE_DIR}/cmake/single_header.cmake")
add_custom_target(shmconf_single_header ALL COMMAND ${single_header_command}
    BYPRODUCTS "${single_header}" VERBATIM)
list(JOIN single_header_command "]==] [==[" single_header_arguments)
install(CODE "execute_process(COMMAND [==[${single_header_arguments}]==] COMMAND_ERROR_IS_FATAL ANY)"
    COMPONENT development)
install(FILES "${single_header}" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT development)

# SameMinorVersion: before 1.0 every minor version may change the interface. ARCH_INDEPENDENT: a
# package that was made on 64 bits serves a 32-bit build.
install(TARGETS shmconf EXPORT shmconf-targets)
install(EXPORT shmconf-targets NAMESPACE shmconf:: FILE shmconf-config.cmake
    DESTINATION "${SHMCONF_CMAKE_DIR}" COMPONENT development)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/shmconf-config-version.cmake"
    COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES "${PROJECT_BINARY_DIR}/shmconf-config-version.cmake"
    DESTINATION "${SHMCONF_CMAKE_DIR}" COMPONENT development)

# Relative to where the .pc file is found, so that the prefix can be moved or packed into a layer.
file(RELATIVE_PATH SHMCONF_PREFIX_FROM_PKGCONFIG "/${SHMCONF_PKGCONFIG_DIR}" "/")
string(REGEX REPLACE "/$" "" SHMCONF_PREFIX_FROM_PKGCONFIG "${SHMCONF_PREFIX_FROM_PKGCONFIG}")
configure_file("${PROJECT_SOURCE_DIR}/cmake/shmconf.pc.in" "${PROJECT_BINARY_DIR}/shmconf.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/shmconf.pc" DESTINATION "${SHMCONF_PKGCONFIG_DIR}"
    COMPONENT development)

# install_man_pages(COMPONENT SECTION...)
function(install_man_pages component)
    foreach(section IN LISTS ARGN)
        file(GLOB pages CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/docs/man/*.${section}")
        install(FILES ${pages} DESTINATION "${CMAKE_INSTALL_MANDIR}/man${section}"
            COMPONENT ${component})
    endforeach()
endfunction()
install_man_pages(development 3)

foreach(component IN ITEMS development runtime)
    install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" "${PROJECT_SOURCE_DIR}/LICENSE-MIT"
        DESTINATION "${CMAKE_INSTALL_DOCDIR}" COMPONENT ${component})
endforeach()

# Called when the whole tree is read: the programs are declared in folders that come after this file.
function(shmconf_install_programs)
    foreach(program IN ITEMS shmconfd shmcat)
        if(TARGET ${program})
            install(TARGETS ${program} DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT runtime)
        endif()
    endforeach()
endfunction()

if(SHMCONF_BUILD_DAEMON)
    install_man_pages(runtime 1 5 7 8)
    foreach(program IN ITEMS shmconfd shmcat)
        install(FILES "${PROJECT_SOURCE_DIR}/tools/completion/${program}.bash" RENAME ${program}
            DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions" COMPONENT runtime)
        install(FILES "${PROJECT_SOURCE_DIR}/tools/completion/_${program}"
            DESTINATION "${CMAKE_INSTALL_DATADIR}/zsh/site-functions" COMPONENT runtime)
    endforeach()
    install(FILES "${PROJECT_SOURCE_DIR}/cmake/tmpfiles.conf" DESTINATION lib/tmpfiles.d
        RENAME shmconf.conf COMPONENT runtime)
    install(FILES "${PROJECT_SOURCE_DIR}/THIRD_PARTY_NOTICES" DESTINATION "${CMAKE_INSTALL_DOCDIR}"
        COMPONENT runtime OPTIONAL)
    cmake_language(DEFER DIRECTORY "${PROJECT_SOURCE_DIR}" CALL shmconf_install_programs)
endif()
