#include "admin/command.h"

#include <stdlib.h>
#include <string.h>

#include "admin/output.h"
#include "base/json.h"
#include "base/limits.h"

int command_account(const struct command_run *run, struct id *ret, struct error *err)
{
	return registry_account_find(run->registry, settings_str(run->settings, "EDGECAP_ACCOUNT"),
				     ret, err);
}

int command_account_or_all(const struct command_run *run, struct id *id,
			   const struct id **ret_account, struct error *err)
{
	bool one = settings_given(run->settings, "EDGECAP_ACCOUNT");
	int code = one ? command_account(run, id, err) : 0;

	if (code == 0)
		*ret_account = one ? id : NULL;
	return code;
}

int command_list(struct command_run *run, const char *const *columns, command_rows rows,
		 struct error *err)
{
	AUTO_JSON cJSON *array = cJSON_CreateArray();
	struct arena arena;

	arena_init(&arena, COMMAND_READ_BYTES_MAX);
	int code = rows(run, &arena, array, err);
	arena_fini(&arena);
	return code < 0 ? code : output_print(TAKE(array), columns, run->json, err);
}

int command_prefixes(const char *text, struct prefix **ret, size_t *ret_count, struct error *err)
{
	size_t count = 0;

	if (!text || !*text) {
		*ret = NULL;
		*ret_count = 0;
		return 0;
	}
	AUTO_FREE struct prefix *list = calloc(LIMIT_PREFIXES_PER_ACCOUNT, sizeof(*list));
	if (!list)
		return error_set(err, EC_ENOMEM, "out of memory");
	for (;;) {
		size_t n = strcspn(text, ",");
		if (count == LIMIT_PREFIXES_PER_ACCOUNT)
			return error_set(err, EC_ELIMIT, "prefixes: more than %d",
					 LIMIT_PREFIXES_PER_ACCOUNT);
		if (prefix_parse((struct bytes){(const uint8_t *)text, n}, &list[count++], err) < 0)
			return error_prefix(err, "prefix \"%.*s\"", (int)(n > 64 ? 64 : n), text);
		if (text[n] == '\0')
			break;
		text += n + 1;
	}
	*ret = TAKE(list);
	*ret_count = count;
	return 0;
}
