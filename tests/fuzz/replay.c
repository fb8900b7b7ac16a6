/* Runs a fuzz target over the files of the folders given: what was found once stays fixed, with any
 * compiler. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *p = NULL;
	long n = 0;

	if (!f || fseek(f, 0, SEEK_END) != 0 || (n = ftell(f)) < 0 || fseek(f, 0, SEEK_SET) != 0) {
		perror(path);
		exit(1);
	}
	/* Exactly as long as the input, so that a sanitizer sees a read past its end. */
	p = malloc((size_t)n ? (size_t)n : 1);
	if (!p || fread(p, 1, (size_t)n, f) != (size_t)n) {
		perror(path);
		exit(1);
	}
	(void)fclose(f);
	(void)LLVMFuzzerTestOneInput(p, (size_t)n);
	free(p);
}

int main(int argc, char **argv)
{
	unsigned files = 0;
	char path[4096];

	for (int i = 1; i < argc; i++) {
		DIR *dir = opendir(argv[i]);
		if (!dir) {
			perror(argv[i]);
			return 1;
		}
		for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
			if (e->d_name[0] == '.')
				continue;
			(void)snprintf(path, sizeof(path), "%s/%s", argv[i], e->d_name);
			replay_file(path);
			files++;
		}
		(void)closedir(dir);
	}
	printf("%u inputs\n", files);
	return files == 0;
}
