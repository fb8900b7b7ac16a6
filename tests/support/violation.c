/* Preloaded into a sampler (LD_PRELOAD): VIOLATION_MS after its loop began it does what VIOLATION says, from within the running, caged process, as
 * somebody would who had taken it over. Where that does not end the process, "violation: <what> <path>: <errno or ok>" goes to standard error for each
 * thing tried, and the process goes on. VIOLATION=memory takes all memory that there is and gives it back after VIOLATION_HOLD_MS. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
	PAGE = 4096,
	LINE_BYTES = 600,
	MS_PER_S = 1000,
	NS_PER_MS = 1000 * 1000,
	LOOK_MS = 50,
	BLOCKS_MAX = 4096,
	BLOCK_BYTES_MAX = 1 << 30,
};

#ifdef __x86_64__
#define WAIT_NAME "epoll_wait" /* its system call is another, which a cage does not know */
#else
#define WAIT_NAME "epoll_pwait"
#endif

static void tell(const char *what, const char *path, long result)
{
	char line[LINE_BYTES];
	int n = snprintf(line, sizeof(line), "violation: %s %s: %s\n", what, path,
			 result >= 0 ? "ok" : strerrorname_np(errno));
	ssize_t written = write(STDERR_FILENO, line, (size_t)n);

	(void)written;
}

static long executable(void)
{
	void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mprotect(p, PAGE, PROT_READ | PROT_EXEC);
}

/* Every path of VIOLATION_PATHS (with ':' between them) is written, read, made and removed. */
static void files(void)
{
	char paths[PAGE], made[PAGE + 8];
	char *rest = NULL;

	(void)snprintf(paths, sizeof(paths), "%s", getenv("VIOLATION_PATHS"));
	for (char *p = strtok_r(paths, ":", &rest); p; p = strtok_r(NULL, ":", &rest)) {
		(void)snprintf(made, sizeof(made), "%s.new", p);
		tell("read", p, open(p, O_RDONLY | O_CLOEXEC));
		tell("write", p, open(p, O_WRONLY | O_CLOEXEC));
		tell("truncate", p, open(p, O_WRONLY | O_TRUNC | O_CLOEXEC));
		tell("create", made, open(made, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
		tell("rename", p, renameat(AT_FDCWD, p, AT_FDCWD, made));
		tell("remove", made, unlinkat(AT_FDCWD, made, 0));
		tell("mkdir", made, mkdirat(AT_FDCWD, made, 0700));
		tell("rmdir", made, unlinkat(AT_FDCWD, made, AT_REMOVEDIR));
	}
}

/* --- all of the memory, for VIOLATION_HOLD_MS --- */

static struct block {
	void *p;
	size_t bytes;
} blocks[BLOCKS_MAX];
static size_t block_count;

static void memory_take(void)
{
	size_t bytes = 0;
	char text[LINE_BYTES];

	for (size_t n = BLOCK_BYTES_MAX; n >= PAGE; n /= 2) {
		while (block_count < BLOCKS_MAX) {
			void *p = mmap(NULL, n, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
			if (p == MAP_FAILED)
				break;
			blocks[block_count++] = (struct block){p, n};
			bytes += n;
		}
	}
	(void)snprintf(text, sizeof(text), "%zu", bytes);
	tell("memory", text, 0);
}

static void memory_give_back(void)
{
	while (block_count > 0) {
		block_count--;
		(void)munmap(blocks[block_count].p, blocks[block_count].bytes);
	}
	tell("memory", "given-back", 0);
}

/* --- when --- */

static void violate(const char *what)
{
	long r = 0;

	if (strcmp(what, "execve") == 0)
		r = execl("/bin/true", "true", NULL);
	else if (strcmp(what, "fork") == 0)
		r = fork();
	else if (strcmp(what, "ptrace") == 0)
		r = ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	else if (strcmp(what, "packet-socket") == 0)
		r = socket(AF_PACKET, SOCK_RAW, 0);
	else if (strcmp(what, "signal") == 0)
		r = kill(getppid(), 0);
	else if (strcmp(what, "executable") == 0)
		r = executable();
	else if (strcmp(what, "files") == 0)
		files();
	else if (strcmp(what, "memory") == 0)
		memory_take();
	tell(what, "done", r);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * MS_PER_S + (uint64_t)t.tv_nsec / NS_PER_MS;
}

static uint64_t number(const char *name, uint64_t fallback)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : fallback;
}

/* From the loop, which waits for descriptors all the time: no timer, no signal and no thread that the process has not got itself. */
static void look(void)
{
	static uint64_t due_ms, give_back_ms;
	static bool done;
	const char *what = getenv("VIOLATION");

	if (!what)
		return;
	if (due_ms == 0)
		due_ms = now_ms() + number("VIOLATION_MS", MS_PER_S);
	if (!done && now_ms() >= due_ms) {
		done = true;
		give_back_ms = now_ms() + number("VIOLATION_HOLD_MS", MS_PER_S);
		violate(what);
	}
	if (block_count > 0 && now_ms() >= give_back_ms)
		memory_give_back();
}

/* Waits are cut short, to be in time. */
static int wait_briefly(int fd, struct epoll_event *events, int count, int ms, const sigset_t *mask)
{
	static int (*next)(int, struct epoll_event *, int, int, const sigset_t *);
	uint64_t end_ms = now_ms() + (uint64_t)(ms < 0 ? INT32_MAX : ms);

	if (!next)
		next = (int (*)(int, struct epoll_event *, int, int, const sigset_t *))dlsym(
			RTLD_NEXT, WAIT_NAME);
	for (;;) {
		uint64_t now = now_ms(), left = end_ms > now ? end_ms - now : 0;
		look();
		int n = next(fd, events, count, (int)(left < LOOK_MS ? left : LOOK_MS), mask);
		if (n != 0 || left == 0)
			return n;
	}
}

int epoll_wait(int fd, struct epoll_event *events, int count, int ms)
{
	return wait_briefly(fd, events, count, ms, NULL);
}

int epoll_pwait(int fd, struct epoll_event *events, int count, int ms, const sigset_t *mask)
{
	return wait_briefly(fd, events, count, ms, mask);
}
