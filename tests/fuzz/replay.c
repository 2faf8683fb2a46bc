/*
 * Runs a fuzz target once over every file named on the command line, and over every file of a
 * folder named there: the corpus, in builds without libFuzzer.
 */
#include "fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#define INPUT_MAX (16u << 20)

static size_t count;
static char current[4096];

/* Which input it was is the first thing to know of a crash. */
static void tell(int number) {
    ssize_t n = write(STDERR_FILENO, current, strlen(current));
    (void)n;
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

static bool run_file(const char *path, size_t size) {
    uint8_t *bytes = fuzz_memory(size);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && read(fd, bytes, size) == (ssize_t)size;
    if (fd >= 0)
        (void)close(fd);
    if (ok) {
        (void)snprintf(current, sizeof(current), "%s: this input\n", path);
        (void)LLVMFuzzerTestOneInput(bytes, size);
        count++;
    }
    free(bytes);
    return ok;
}

static bool run(const char *path);

static bool run_folder(const char *path) {
    struct dirent **entries;
    int n = scandir(path, &entries, NULL, alphasort);
    bool ok = n >= 0;
    for (int i = 0; i < n; i++) {
        char inner[4096];
        int len = snprintf(inner, sizeof(inner), "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.')
            ok = len > 0 && (size_t)len < sizeof(inner) && run(inner) && ok;
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
    return ok;
}

static bool run(const char *path) {
    struct stat status;
    if (stat(path, &status) != 0 || status.st_size > INPUT_MAX) {
        (void)fprintf(stderr, "%s: cannot be read, or is too long\n", path);
        return false;
    }
    if (S_ISDIR(status.st_mode))
        return run_folder(path);
    return run_file(path, (size_t)status.st_size);
}

int main(int argc, char **argv) {
    bool ok = true;
    (void)signal(SIGABRT, tell);
    (void)signal(SIGSEGV, tell);
    /* libfcgi would only take note of it. */
    (void)signal(SIGTERM, _exit);
    for (int i = 1; i < argc; i++)
        ok = run(argv[i]) && ok;
    if (!ok || count == 0) {
        (void)fprintf(stderr, "%s: %zu inputs, and not all could be read\n", argv[0], count);
        return EXIT_FAILURE;
    }
    (void)printf("%zu inputs\n", count);
    return EXIT_SUCCESS;
}
