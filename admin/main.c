/* edgecap-admin: the operator's command line. */
#include <stdio.h>
#include <string.h>

#include "admin/command.h"
#include "version.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

static const struct command *(*const groups[])(size_t *) = {
	commands_migrate, commands_account, commands_user,  commands_credential,
	commands_sampler, commands_pcap,    commands_audit,
};

static void print_usage(FILE *to)
{
	fputs("Usage: edgecap-admin COMMAND [flags]\n\nCommands (each has --help):\n", to);
	for (size_t g = 0; g < ARRAY_LEN(groups); g++) {
		size_t count = 0;
		const struct command *commands = groups[g](&count);
		for (size_t i = 0; i < count; i++)
			fprintf(to, "  %-16s  %s\n", commands[i].words, commands[i].about);
	}
}

/* The command that argv begins with; *ret_words: how many arguments its name took. */
static const struct command *find_command(int argc, char *const *argv, int *ret_words)
{
	char two[64];

	if (argc < 2)
		return NULL;
	(void)snprintf(two, sizeof(two), "%s %s", argv[1], argc > 2 ? argv[2] : "");
	for (size_t g = 0; g < ARRAY_LEN(groups); g++) {
		size_t count = 0;
		const struct command *commands = groups[g](&count);
		for (size_t i = 0; i < count; i++) {
			if (strcmp(commands[i].words, argv[1]) == 0) {
				*ret_words = 1;
				return &commands[i];
			}
			if (strcmp(commands[i].words, two) == 0) {
				*ret_words = 2;
				return &commands[i];
			}
		}
	}
	return NULL;
}

static int fail(const struct error *err, int status)
{
	fprintf(stderr, "edgecap-admin: %s\n", err->text);
	return status;
}

static int run_command(const struct command *command, const struct settings *settings)
{
	struct command_run run = {.settings = settings,
				  .json = settings_bool(settings, "EDGECAP_JSON")};
	struct error err = {0};
	int code =
		registry_open(settings_str(settings, "EDGECAP_DATABASE_URL"), &run.registry, &err);

	if (code == 0)
		code = command->run(&run, &err);
	registry_close(run.registry);
	return code < 0 ? fail(&err, EXIT_FAILED) : 0;
}

/* --version, --help, or no such command. */
static int run_without_command(int argc, char *const *argv)
{
	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return printf("edgecap-admin %s\n", EDGECAP_VERSION) < 0 ? EXIT_FAILED : 0;
	bool asked = argc == 2 && strcmp(argv[1], "--help") == 0;
	if (!asked && argc > 1)
		fprintf(stderr, "edgecap-admin: no command \"%s%s%s\"\n", argv[1],
			argc > 2 ? " " : "", argc > 2 ? argv[2] : "");
	print_usage(asked ? stdout : stderr);
	return asked ? 0 : EXIT_USAGE;
}

int main(int argc, char **argv)
{
	struct error err = {0};
	struct settings *settings = NULL;
	enum settings_outcome outcome = SETTINGS_RUN;
	char prog[64];
	int words = 0;
	const struct command *command = find_command(argc, argv, &words);

	if (!command)
		return run_without_command(argc, argv);
	(void)snprintf(prog, sizeof(prog), "edgecap-admin %s", command->words);
	const struct settings_program program = {
		.prog = prog,
		.about = command->about,
		.table = command->table,
		.count = command->count,
		.max_operands = command->max_operands,
	};
	/* argv[words] stands for the program's name */
	if (settings_read(&program, argc - words, argv + words, &settings, &outcome, &err) < 0)
		return fail(&err, EXIT_USAGE);
	int status = outcome == SETTINGS_EXIT ? 0 : run_command(command, settings);
	settings_free(settings);
	return status;
}
