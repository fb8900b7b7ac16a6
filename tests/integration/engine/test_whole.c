/* Whole packets, as a full capture wants them: of every length that an interface hands on, with and without VLAN tags, also longer than a block of the ring.
 */
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/limits.h"
#include "packet/pcapng.h"
#include "rig.h"
#include "tests/support/unit.h"

enum {
	PORT = 7,
	MTU = 65535,
	PLAIN_MAX = MTU + 14,
	GSO_MAX = 500000,
	RING_PACKET_BYTES = 262000, /* what a block holds of a longer one */
	FRAME_MAX = 400000,         /* more than a ring's block of 256 KiB */
	SEGMENT_BYTES =
		1400, /* of what is longer than the MTU: an interface with segmentation offload would send it so */
	TCP_HEAD_BYTES = 14 + 40 + 20,
};

/* A frame that was sent: all that is there can be made again from it. */
struct sent {
	uint32_t bytes;
	bool tagged;
};

static uint8_t noise(uint32_t number, size_t at)
{
	return (uint8_t)((at * 2654435761u + number * 40503u) >> 13);
}

/* TCP over IPv6 to PORT, the payload is noise. Returns its length, 4 more with a tag. */
static size_t frame_make(uint8_t *frame, const struct sent *s, uint32_t number)
{
	struct packet_builder b = {0};
	size_t payload = s->bytes - TCP_HEAD_BYTES;

	put_ethernet(&b, s->tagged ? 0x8100 : 0x86dd);
	if (s->tagged) {
		put_u16(&b, 5);
		put_u16(&b, 0x86dd);
	}
	put_ipv6(&b, 6, payload + 20 <= UINT16_MAX ? payload + 20 : 0);
	put_ports(&b, 1000, PORT);
	put_zeros(&b, 4);
	put_u16(&b, 0x5010); /* 20 bytes of header, ACK */
	put_zeros(&b, 6);
	memcpy(frame, b.p, b.n);
	for (size_t i = 0; i < payload; i++)
		frame[b.n + i] = noise(number, i);
	return b.n + payload;
}

/* Send a frame with what the kernel asks for when it is longer than the MTU. */
static void frame_send(int socket, const uint8_t *frame, size_t n, bool tagged)
{
	struct virtio_net_hdr head = {0};
	struct iovec parts[] = {{&head, sizeof(head)}, {(void *)(uintptr_t)frame, n}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = ARRAY_LEN(parts)};

	if (n > PLAIN_MAX) {
		head = (struct virtio_net_hdr){
			.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			.gso_type = VIRTIO_NET_HDR_GSO_TCPV6,
			.hdr_len = (uint16_t)(TCP_HEAD_BYTES + 4 * tagged),
			.gso_size = SEGMENT_BYTES,
			.csum_start = (uint16_t)(14 + 40 + 4 * tagged),
			.csum_offset = 16,
		};
	}
	while (sendmsg(socket, &message, 0) < 0) {
		if (errno != ENOBUFS && errno != EINTR)
			fail_msg("sendmsg of %zu bytes: %s", n, strerror(errno));
	}
}

static struct rig *rig_of_large_packets(void)
{
	struct rig *g = rig_new(1);
	char command[200];
	int one = 1;

	(void)snprintf(command, sizeof(command),
		       "nsenter --net=/proc/%d/fd/%d ip link set s0 mtu %d gso_max_size %d",
		       (int)getpid(), g->wire.source_ns, (int)MTU, (int)GSO_MAX);
	wire_run(command);
	wire_run("ip link set c0 mtu 65535");
	assert_int_equal(setsockopt(g->wire.out[0], SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)),
			 0);
	g->keep_chunks = true;
	g->config.buffer_bytes = (uint64_t)64 * LIMIT_MIB;
	rig_start(g);
	return g;
}

static struct engine_job whole_packets(void)
{
	struct engine_job what = rig_job_settings();

	what.filter = (struct filter){.fields = FILTER_PROTOCOL | FILTER_DESTINATION_PORT,
				      .protocol = 6,
				      .destination_port = PORT};
	what.snaplen_bytes = PCAPNG_SNAPLEN_MAX;
	what.chunk_bytes = LIMIT_FULL_CHUNK_BYTES;
	return what;
}

static void packet_check(const struct pcapng_packet *p, const struct sent *s, uint32_t number,
			 uint8_t *frame)
{
	size_t n = frame_make(frame, s, number);

	assert_int_equal(p->wire_bytes, n);
	assert_true(p->data.n == n || (n > RING_PACKET_BYTES && p->data.n >= RING_PACKET_BYTES));
	assert_memory_equal(p->data.p, frame, p->data.n);
}

/* What the kept chunks hold is, in order, what was sent. */
static void chunks_check(const struct rig *g, const struct sent *sent, uint32_t count,
			 uint8_t *frame)
{
	struct error err = {0};
	uint32_t number = 0;

	for (size_t i = 0; i < g->kept_count; i++) {
		struct pcapng_reader *r = pcapng_reader_new(1);
		struct bytes file = g->kept[i].data;
		struct pcapng_block b;
		for (size_t used; file.n > 0; file.p += used, file.n -= used) {
			assert_int_equal(pcapng_read(r, file, &b, &used, &err), 0);
			if (b.kind != PCAPNG_PACKET)
				continue;
			assert_true(number < count);
			packet_check(&b.packet, &sent[number], number, frame);
			number++;
		}
		pcapng_reader_free(r);
	}
	assert_int_equal(number, count);
}

/* What fits into a block of the ring is captured whole. What does not (an interface with BIG TCP hands it on) is cut, and says how long it was. */
static void test_every_length(void **state)
{
	static const uint32_t lengths[] = {
		TCP_HEAD_BYTES, 75,     160,    161,    1514,   1515,   9014,   65535,  65549,
		65600,          100000, 131072, 200000, 262000, 262144, 262145, 300000, 390000,
	};
	struct sent sent[2 * ARRAY_LEN(lengths)];
	struct rig *g = rig_of_large_packets();
	uint8_t *frame = malloc(FRAME_MAX);
	uint32_t count = 0;
	(void)state;

	struct rig_job *j = rig_add(g, whole_packets());
	rig_wait_armed(g, j);
	for (size_t i = 0; i < 2 * ARRAY_LEN(lengths); i++) {
		sent[count] = (struct sent){lengths[i / 2], i % 2};
		if (i % 2 && lengths[i / 2] + 4 > PLAIN_MAX)
			continue; /* the kernel does not offload what is tagged in band */
		size_t n = frame_make(frame, &sent[count], count);
		frame_send(g->wire.out[0], frame, n, sent[count].tagged);
		count++;
	}
	rig_stop(g, j);
	chunks_check(g, sent, count, frame);
	rig_give_back(g);
	rig_free(g);
	free(frame);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_length),
	};

	if (!wire_is_permitted())
		return WIRE_SKIP;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
