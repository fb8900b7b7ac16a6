# How edgecap's folders become libraries and programs.
#
# ec_module(name DEPS folders... LINK targets...): the .c files of a folder, main.c apart, are the static
# library ec_<name>; a main.c makes the program edgecap-<name> in build/<preset>/bin.

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON) # gnu17: libh2o's headers need it
set(CMAKE_C_VISIBILITY_PRESET hidden) # libh2o exports generic names that ours would interpose
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")

find_program(EDGECAP_CCACHE ccache)
if(EDGECAP_CCACHE)
	set(CMAKE_C_COMPILER_LAUNCHER "${EDGECAP_CCACHE}")
endif()

# The compiler settings that every target of ours shares.
add_library(ec_options INTERFACE)
target_include_directories(ec_options INTERFACE "${CMAKE_SOURCE_DIR}" "${CMAKE_BINARY_DIR}/generated")
target_compile_definitions(ec_options INTERFACE _GNU_SOURCE)
target_compile_options(ec_options INTERFACE
	-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wstrict-prototypes
	-Wmissing-prototypes -Wold-style-definition -Wvla -Wundef -Wformat=2 -Wcast-qual -Wwrite-strings
	-Wpointer-arith -Wnull-dereference -Wswitch-enum -Wimplicit-fallthrough -Wdouble-promotion
	-fno-common -fno-strict-aliasing -fno-omit-frame-pointer)
if(CMAKE_C_COMPILER_ID STREQUAL "Clang")
	target_compile_options(ec_options INTERFACE -Wno-string-conversion) # EC_ASSERT(!"why")
endif()
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
	target_compile_options(ec_options INTERFACE -Wlogical-op -Wduplicated-cond -Wduplicated-branches -Walloca)
else()
	target_compile_options(ec_options INTERFACE -Wno-gnu-statement-expression
		-Wno-gnu-zero-variadic-macro-arguments -Wno-string-conversion -Wno-string-concatenation)
endif()
option(EDGECAP_WERROR "warnings are errors" ON)
if(EDGECAP_WERROR)
	target_compile_options(ec_options INTERFACE -Werror)
endif()

if(EDGECAP_SANITIZE)
	target_compile_options(ec_options INTERFACE "-fsanitize=${EDGECAP_SANITIZE}" -fno-sanitize-recover=all)
	target_link_options(ec_options INTERFACE "-fsanitize=${EDGECAP_SANITIZE}")
endif()
if(EDGECAP_FUZZ)
	target_compile_options(ec_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
option(EDGECAP_COVERAGE "instrument for gcov" OFF)
if(EDGECAP_COVERAGE)
	target_compile_definitions(ec_options INTERFACE EDGECAP_COVERAGE)
	target_compile_options(ec_options INTERFACE --coverage)
	target_link_options(ec_options INTERFACE --coverage)
endif()
option(EDGECAP_ANALYZE "gcc -fanalyzer" OFF)
if(EDGECAP_ANALYZE)
	# gcc 12 takes a pointer stored through another one for leaked; LeakSanitizer (preset asan) is right.
	target_compile_options(ec_options INTERFACE -fanalyzer -Wno-analyzer-malloc-leak)
endif()
option(EDGECAP_HARDEN "hardening of the release build" OFF)
if(EDGECAP_HARDEN)
	target_compile_options(ec_options INTERFACE -D_FORTIFY_SOURCE=3 -fstack-protector-strong
		-fstack-clash-protection -fcf-protection=full)
	target_link_options(ec_options INTERFACE -pie -Wl,-z,relro,-z,now,-z,noexecstack)
endif()

configure_file("${CMAKE_SOURCE_DIR}/cmake/version.h.in" "${CMAKE_BINARY_DIR}/generated/version.h" @ONLY)

# Third-party libraries, all from Debian 12. IMPORTED_TARGETs are SYSTEM: our warnings stay ours.
macro(ec_find_packages)
	find_package(PkgConfig REQUIRED)
	find_package(Threads REQUIRED)
	pkg_check_modules(cjson REQUIRED IMPORTED_TARGET libcjson)
	pkg_check_modules(crypto REQUIRED IMPORTED_TARGET libcrypto)
	pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash)
	pkg_check_modules(libpq REQUIRED IMPORTED_TARGET libpq)
	pkg_check_modules(uv REQUIRED IMPORTED_TARGET libuv)
	pkg_check_modules(curl REQUIRED IMPORTED_TARGET libcurl)
	pkg_check_modules(pcap REQUIRED IMPORTED_TARGET libpcap)
	# libh2o.pc names neither libuv nor OpenSSL.
	pkg_check_modules(h2o REQUIRED IMPORTED_TARGET libh2o libuv openssl)
endmacro()

function(ec_module name)
	cmake_parse_arguments(arg "" "" "DEPS;LINK" ${ARGN})
	file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${name}/*.c")
	set(main "${CMAKE_SOURCE_DIR}/${name}/main.c")
	list(FIND sources "${main}" has_main)
	list(REMOVE_ITEM sources "${main}")
	list(TRANSFORM arg_DEPS PREPEND ec_)
	if(NOT sources) # headers only, so far: whoever links it must be able to
		add_library(ec_${name} INTERFACE)
		target_link_libraries(ec_${name} INTERFACE ec_options ${arg_DEPS} ${arg_LINK})
		return()
	endif()
	add_library(ec_${name} STATIC ${sources})
	foreach(dep IN LISTS arg_DEPS)
		if(TARGET ${dep}) # a folder without a source file has none yet
			target_link_libraries(ec_${name} PUBLIC ${dep})
		endif()
	endforeach()
	target_link_libraries(ec_${name} PUBLIC ec_options ${arg_LINK})
	if(NOT has_main EQUAL -1)
		add_executable(edgecap-${name} "${main}")
		target_link_libraries(edgecap-${name} PRIVATE ec_${name})
	endif()
endfunction()

# Compile migrations/*.sql into ec_<name>, so that the programs need no files beside them.
function(ec_embed_migrations name)
	set(out "${CMAKE_BINARY_DIR}/generated/migrations_embedded.c")
	set(script "${CMAKE_SOURCE_DIR}/cmake/EmbedMigrations.cmake")
	file(GLOB sql CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/migrations/*.sql")
	add_custom_command(OUTPUT "${out}"
		COMMAND "${CMAKE_COMMAND}" "-DOUT=${out}" "-DDIR=${CMAKE_SOURCE_DIR}/migrations" -P "${script}"
		DEPENDS ${sql} "${script}" VERBATIM)
	target_sources(ec_${name} PRIVATE "${out}")
endfunction()
