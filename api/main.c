/* edgecap-api: parse the settings, open, serve, close. */
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

#include "api/app.h"
#include "api/config.h"
#include "sandbox/daemon.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

static int fail(const struct error *err, int status)
{
	(void)fprintf(stderr, "edgecap-api: %s\n", err->text);
	return status;
}

/* A connection is a descriptor: use what the system allows, not the customary 1,024. */
static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int serve(const struct settings *settings)
{
	struct api_config config;
	struct error err = {.code = 0};
	struct api_app app;
	uv_loop_t loop;

	if (api_config_read(settings, &config, &err) < 0)
		return fail(&err, EXIT_USAGE);
	log_init("edgecap-api", config.log_level);
	if (daemon_become(settings_str(settings, "EDGECAP_USER"), &err) < 0)
		return fail(&err, EXIT_USAGE);
	int r = uv_loop_init(&loop);
	if (r < 0) {
		(void)error_set(&err, EC_EIO, "cannot make a loop: %s", uv_strerror(r));
		return fail(&err, EXIT_FAILED);
	}
	r = api_app_open(&app, &loop, &config, &err);
	/* With its sockets open, and before a byte of others is read. */
	if (r == 0 && daemon_confine(&err) < 0)
		return fail(&err, EXIT_FAILED);
	if (r == 0)
		api_app_run(&app);
	(void)uv_run(&loop, UV_RUN_DEFAULT); /* close callbacks that are left */
	(void)uv_loop_close(&loop);
	return r == 0 ? 0 : fail(&err, r == EC_EINVAL ? EXIT_USAGE : EXIT_FAILED);
}

int main(int argc, char **argv)
{
	struct settings *settings = NULL;
	enum settings_outcome outcome = SETTINGS_RUN;
	struct error err = {.code = 0};

	(void)signal(SIGPIPE, SIG_IGN);
	raise_descriptors();
	if (settings_read(&api_settings, argc, argv, &settings, &outcome, &err) < 0)
		return fail(&err, EXIT_USAGE);
	int status = outcome == SETTINGS_RUN ? serve(settings) : 0;
	settings_free(settings);
	return status;
}
