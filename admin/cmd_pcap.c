#include "admin/command.h"
#include "admin/output.h"
#include "base/json.h"

static int pcap_reassemble(struct command_run *run, struct error *err)
{
	const char *text = settings_operand(run->settings, 0);
	struct id id;

	if (!text)
		return error_set(err, EC_EINVAL, "pcap reassemble: which capture? Give its id");
	if (id_parse(bytes_of(text), &id) < 0)
		return error_set(err, EC_EINVAL,
				 "a capture's id has 32 lower-case hex characters, not \"%.64s\"",
				 text);
	int code = registry_pcap_reassemble(run->registry, &id, err);
	if (code < 0)
		return code;
	cJSON *value = cJSON_CreateObject();
	json_add_str(value, "id", id.hex);
	json_add_str(value, "stage", "ready");
	return output_print(value, NULL, run->json, err);
}

static const struct setting reassemble_settings[] = {COMMAND_SETTINGS};

static const struct command commands[] = {
	{"pcap reassemble", "assemble a failed capture (operand: its id) again from its chunks",
	 reassemble_settings, ARRAY_LEN(reassemble_settings), pcap_reassemble, 1},
};

const struct command *commands_pcap(size_t *ret_count)
{
	*ret_count = ARRAY_LEN(commands);
	return commands;
}
