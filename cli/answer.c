/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/answer.h"

#include "keystore/admin.h"

void
asking_begin(struct asking *asking, const char *cmd)
{
	buf_init(&asking->text, 0);
	json_init(&asking->json, &asking->text);
	json_object(&asking->json, NULL);
	json_str(&asking->json, "cmd", cmd);
}

enum rc
asking_end(struct asking *asking, struct err *err)
{
	json_object_end(&asking->json);
	return json_end(&asking->json, err);
}

enum rc
asking_send(struct asking *asking, struct conf *conf, struct secret *blob,
	struct json_value **answer, struct err *err)
{
	enum rc rc;

	*answer = NULL;
	rc = asking_end(asking, err);
	if (rc == RC_OK)
		rc = admin_call(conf, buf_text(&asking->text), blob, answer, err);
	buf_fini(&asking->text);
	return rc;
}

enum rc
asking_send_in(struct asking *asking, struct admin_session *session, struct json_value **answer,
	struct err *err)
{
	enum rc rc;

	*answer = NULL;
	json_object_end(&asking->json);
	rc = json_end(&asking->json, err);
	if (rc == RC_OK)
		rc = admin_ask(session, buf_text(&asking->text), NULL, answer, NULL, err);
	buf_fini(&asking->text);
	return rc;
}

void
answer_put(struct json *json, const char *key, const struct json_value *value)
{
	switch (json_type(value)) {
	case JSON_OBJECT:
		json_object(json, key);
		for (size_t i = 0; i < json_count(value); i++)
			answer_put(json, json_key_at(value, i), json_at(value, i));
		json_object_end(json);
		break;
	case JSON_ARRAY:
		json_array(json, key);
		for (size_t i = 0; i < json_count(value); i++)
			answer_put(json, NULL, json_at(value, i));
		json_array_end(json);
		break;
	case JSON_STRING:
		json_str(json, key, json_text(value));
		break;
	case JSON_BOOL:
		json_bool(json, key, json_is_true(value));
		break;
	case JSON_INT:
	case JSON_NUMBER:
		json_int(json, key, json_number(value, 0));
		break;
	case JSON_NULL:
		json_null(json, key);
		break;
	}
}

int
answer_print_json(const struct json_value *answer, int status)
{
	struct buf text = BUF_INIT(0);
	struct json json;

	json_init(&json, &text);
	answer_put(&json, NULL, answer);
	status = cmd_print_json(&json, status);
	buf_fini(&text);
	return status;
}

enum rc
answer_about(const struct cli *cli, const char *cmd, const char *addr, struct json_value **answer,
	struct err *err)
{
	struct asking asking;

	asking_begin(&asking, cmd);
	json_str(&asking.json, "addr", addr);
	return asking_send(&asking, cli->conf, NULL, answer, err);
}
