/* The reader of S3's answers: what it gives of good documents, and what it refuses. */
#include "tests/support/unit.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "storage/s3_xml.h"

/* A document as "name[...]name(text)": every opening and closing in order. Returns a code. dst: 1024 bytes. */
static int walk(const char *document, char *dst)
{
	struct s3_xml x;
	enum s3_xml_event event = S3_XML_OPEN;
	size_t n = 0;

	dst[0] = '\0';
	s3_xml_init(&x, bytes_of(document));
	for (;;) {
		int r = s3_xml_next(&x, &event);
		if (r < 0) {
			assert_int_equal(s3_xml_next(&x, &event), r); /* stays */
			return r;
		}
		if (event == S3_XML_END)
			return 0;
		const struct bytes *name = &x.names[x.depth - 1];
		if (event == S3_XML_OPEN)
			n += (size_t)snprintf(dst + n, 1024 - n, "%.*s[", (int)name->n,
					      (const char *)name->p);
		else
			n += (size_t)snprintf(dst + n, 1024 - n, "%s]", x.text);
	}
}

static const struct {
	const char *document, *walk;
} good[] = {
	{"<a/>", "a[]"},
	{"<a></a>", "a[]"},
	{"<a>b</a>", "a[b]"},
	{"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<a>b</a>\n", "a[b]"},
	{"  \n <?xml version='1.0'?>  <a>b</a>", "a[b]"}, /* kept open by white space */
	{"\xef\xbb\xbf<a>b</a>", "a[b]"},
	{"<a xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\" b = 'c>d'><e/></a >", "a[e[]]"},
	{"<a> <b>1</b>\n<c/><d>2</d> </a>", "a[b[1]c[]d[2]]"},
	{"<a> b  c </a>", "a[ b  c ]"},
	{"<a>&lt;&gt;&amp;&quot;&apos;</a>", "a[<>&\"']"},
	{"<a>&#65;&#x42;&#xe4;&#8364;&#x1F600;</a>", "a[AB\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80]"},
	{"<a>\xc3\xa4</a>", "a[\xc3\xa4]"},
	{"<s3:a>b</s3:a>", "s3:a[b]"},
	{"<a>b > c</a>", "a[b > c]"},
};

static const struct {
	const char *document;
	int code;
} bad[] = {
	{"", EC_EFORMAT},
	{" ", EC_EFORMAT},
	{"x", EC_EFORMAT},
	{"<", EC_EFORMAT},
	{"<a", EC_EFORMAT},
	{"<a>", EC_EFORMAT},
	{"<a><b></a></b>", EC_EFORMAT},
	{"<a></b>", EC_EFORMAT},
	{"</a>", EC_EFORMAT},
	{"<a/><b/>", EC_EFORMAT},
	{"<a/>x", EC_EFORMAT},
	{"<a>x<b/></a>", EC_EFORMAT}, /* text beside children */
	{"<a><b/>x</a>", EC_EFORMAT},
	{"<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>", EC_EFORMAT},
	{"<a>&b;</a>", EC_EFORMAT},
	{"<a>&amp</a>", EC_EFORMAT},
	{"<a>&;</a>", EC_EFORMAT},
	{"<a>&#;</a>", EC_EFORMAT},
	{"<a>&#x;</a>", EC_EFORMAT},
	{"<a>&#0;</a>", EC_EFORMAT},
	{"<a>&#xD800;</a>", EC_EFORMAT},
	{"<a>&#x110000;</a>", EC_EFORMAT},
	{"<a>&#99999999999;</a>", EC_EFORMAT},
	{"<a><![CDATA[b]]></a>", EC_EFORMAT},
	{"<a><!-- b --></a>", EC_EFORMAT},
	{"<a><?b?></a>", EC_EFORMAT},
	{"<?xml", EC_EFORMAT},
	{"<?xml ?", EC_EFORMAT},
	{"<a b></a>", EC_EFORMAT},
	{"<a b=c></a>", EC_EFORMAT},
	{"<a b=\"c></a>", EC_EFORMAT},
	{"<a b=\"<\"></a>", EC_EFORMAT},
	{"<a b=\"c\"d=\"e\"></a>", EC_EFORMAT},
	{"<1/>", EC_EFORMAT},
	{"<a>\x01</a>", EC_EFORMAT},
	{"<a>\xff</a>", EC_EFORMAT},
	{"<a>\xc0\x80</a>", EC_EFORMAT},
	{"<a><a><a><a><a><a><a><a><a/></a></a></a></a></a></a></a></a>", EC_ELIMIT},
	{"<a b='1' c='1' d='1' e='1' f='1' g='1' h='1' i='1' j='1'/>", EC_ELIMIT},
	{"<aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/>", EC_ELIMIT},
};

static void test_good_documents(void **state)
{
	char text[1024];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		int r = walk(good[i].document, text);
		if (r < 0 || strcmp(text, good[i].walk) != 0)
			fail_msg("%s: %d, %s", good[i].document, r, text);
	}
}

static void test_bad_documents(void **state)
{
	char text[1024];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		int r = walk(bad[i].document, text);
		if (r != bad[i].code)
			fail_msg("%s: %d", bad[i].document, r);
	}
}

static void test_a_text_has_a_limit(void **state)
{
	char document[S3_XML_TEXT_MAX + 16];
	struct s3_xml x;
	enum s3_xml_event event = S3_XML_OPEN;

	(void)state;
	for (size_t n = S3_XML_TEXT_MAX; n <= S3_XML_TEXT_MAX + 1; n++) {
		(void)snprintf(document, sizeof(document), "<a>%0*d</a>", (int)n, 0);
		s3_xml_init(&x, bytes_of(document));
		assert_int_equal(s3_xml_next(&x, &event), 0);
		assert_int_equal(s3_xml_next(&x, &event), n > S3_XML_TEXT_MAX ? EC_ELIMIT : 0);
	}
}

static void test_paths(void **state)
{
	struct s3_xml x;
	enum s3_xml_event event = S3_XML_OPEN;

	(void)state;
	s3_xml_init(&x, bytes_of("<a><bc>1</bc></a>"));
	assert_false(s3_xml_at(&x, "a"));
	assert_int_equal(s3_xml_next(&x, &event), 0);
	assert_true(s3_xml_at(&x, "a"));
	assert_false(s3_xml_at(&x, "a/bc"));
	assert_int_equal(s3_xml_next(&x, &event), 0);
	assert_true(s3_xml_at(&x, "a/bc"));
	assert_false(s3_xml_at(&x, "a"));
	assert_false(s3_xml_at(&x, "a/b"));
	assert_false(s3_xml_at(&x, "bc"));
	assert_false(s3_xml_at(&x, "a/bc/d"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_documents),
		cmocka_unit_test(test_bad_documents),
		cmocka_unit_test(test_a_text_has_a_limit),
		cmocka_unit_test(test_paths),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
