#include "api/envelope.h"

#include "base/json.h"

cJSON *api_messages_new(void)
{
	return cJSON_CreateArray();
}

void api_messages_add(cJSON *messages, const char *text)
{
	cJSON *item = cJSON_CreateObject();

	json_add_int(item, "code", API_MESSAGE_CODE);
	json_add_str(item, "message", text);
	json_push(messages, item);
}

cJSON *api_envelope_ok(cJSON *result, cJSON *messages, cJSON *result_info)
{
	cJSON *tree = cJSON_CreateObject();

	json_add_item(tree, "result", result ? result : cJSON_CreateNull());
	json_add_bool(tree, "success", true);
	(void)json_add_array(tree, "errors");
	json_add_item(tree, "messages", messages ? messages : cJSON_CreateArray());
	if (result_info)
		json_add_item(tree, "result_info", result_info);
	return tree;
}

static void add_error(cJSON *errors, enum api_error row, const char *message, const char *pointer)
{
	cJSON *item = cJSON_CreateObject();

	json_add_int(item, "code", api_error_code(row));
	json_add_str(item, "message", message);
	if (pointer && *pointer)
		json_add_str(json_add_object(item, "source"), "pointer", pointer);
	json_push(errors, item);
}

cJSON *api_envelope_error(enum api_error row, const char *message,
			  const struct field_errors *faults)
{
	cJSON *tree = cJSON_CreateObject();

	json_add_item(tree, "result", cJSON_CreateNull());
	json_add_bool(tree, "success", false);
	cJSON *errors = json_add_array(tree, "errors");
	if (!faults || faults->count == 0)
		add_error(errors, row, message ? message : api_error_text(row), NULL);
	for (size_t i = 0; faults && i < faults->count && i < FIELD_ERRORS_MAX; i++)
		add_error(errors, row, faults->items[i].message, faults->items[i].pointer);
	(void)json_add_array(tree, "messages");
	return tree;
}

cJSON *api_result_info(uint32_t page, uint32_t per_page, uint64_t count, uint64_t total_count)
{
	cJSON *info = cJSON_CreateObject();
	uint64_t pages = (total_count + per_page - 1) / per_page;

	json_add_int(info, "page", page);
	json_add_int(info, "per_page", per_page);
	json_add_int(info, "count", (int64_t)count);
	json_add_int(info, "total_count", (int64_t)total_count);
	json_add_int(info, "total_pages", (int64_t)pages);
	return info;
}
