# Script: cmake -DOUT=file.c -DDIR=migrations -P EmbedMigrations.cmake
# Writes the migrations as C arrays (struct migration of jobqueue/migration.h), in order of name.
file(GLOB files "${DIR}/*.sql")
list(SORT files)
set(arrays "")
set(rows "")
set(count 0)
foreach(file IN LISTS files)
	get_filename_component(name "${file}" NAME)
	file(READ "${file}" hex HEX)
	string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
	string(REGEX REPLACE "(................................................................................)" "\\1\n\t" bytes "${bytes}")
	string(APPEND arrays "static const uint8_t sql_${count}[] = {\n\t${bytes}\n};\n\n")
	string(APPEND rows "\t{\"${name}\", {sql_${count}, sizeof(sql_${count})}},\n")
	math(EXPR count "${count} + 1")
endforeach()
file(WRITE "${OUT}.new" "/* Made from migrations/ by cmake/EmbedMigrations.cmake. */
#include \"jobqueue/migration.h\"

${arrays}const struct migration_file migrations_embedded[] = {
${rows}};

const size_t migrations_embedded_count = ${count};
")
execute_process(COMMAND "${CMAKE_COMMAND}" -E copy_if_different "${OUT}.new" "${OUT}")
file(REMOVE "${OUT}.new")
