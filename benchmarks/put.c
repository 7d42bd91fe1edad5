/* Put structs of a day into their slots one by one, as the archives of 1998 did: a day file holds a header of 32 bytes
 * and one slot for each period of the day, all zero bytes when it is made. For each struct the day file is opened, its
 * slot read and compared, and the file closed again:
 *
 *   0  the slot was all zero bytes: the struct is written
 *   3  the slot holds the same bytes: nothing is written
 *   1  the slot holds other bytes: both go to the overlap file, the slot is filled with 0xFF
 *   2  the slot is filled with 0xFF: the struct goes to the overlap file
 *
 * usage: put START_OF_DAY  < lines of: STREAM DAY_FILE SIZE PERIOD OFFSET_OF_SECOND (big-endian, four bytes)
 * It writes how many puts had each status. Nothing is forced to disk.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEADER = 32, SECONDS_A_DAY = 86400, LONGEST_NAME = 4096 };

static void stop(const char *what)
{
    perror(what);
    exit(1);
}

static void make_day_file(const char *name, size_t size, long slots)
{
    unsigned char header[HEADER] = {0};
    unsigned char *zeros = calloc(1, size);
    FILE *file = fopen(name, "wb");
    if (!zeros || !file || fwrite(header, HEADER, 1, file) != 1)
        stop(name);
    for (long slot = 0; slot < slots; slot++)
        if (fwrite(zeros, size, 1, file) != 1)
            stop(name);
    if (fclose(file))
        stop(name);
    free(zeros);
}

static void append(const char *day_file, const unsigned char *given, size_t size)
{
    char name[LONGEST_NAME + 16];
    snprintf(name, sizeof name, "%s.overlap", day_file);
    int file = open(name, O_WRONLY | O_CREAT | O_APPEND, 0666);
    if (file < 0 || write(file, given, size) != (ssize_t)size || close(file))
        stop(name);
}

static void write_slot(int file, off_t place, const unsigned char *given, size_t size, const char *name)
{
    if (lseek(file, place, SEEK_SET) != place || write(file, given, size) != (ssize_t)size)
        stop(name);
}

static int put(const char *name, const unsigned char *given, size_t size, long slot, unsigned char *held,
               const unsigned char *zeros, const unsigned char *ones)
{
    int status, file = open(name, O_RDWR);
    off_t place = HEADER + (off_t)slot * (off_t)size;
    if (file < 0 || lseek(file, place, SEEK_SET) != place || read(file, held, size) != (ssize_t)size)
        stop(name);
    if (!memcmp(held, zeros, size)) {
        write_slot(file, place, given, size, name);
        status = 0;
    } else if (!memcmp(held, given, size)) {
        status = 3;
    } else if (!memcmp(held, ones, size)) {
        append(name, given, size);
        status = 2;
    } else {
        append(name, held, size);
        append(name, given, size);
        write_slot(file, place, ones, size, name);
        status = 1;
    }
    if (close(file))
        stop(name);
    return status;
}

int main(int words, char **word)
{
    char stream[LONGEST_NAME], day_file[LONGEST_NAME];
    long counts[4] = {0}, period, offset, start = words == 2 ? atol(word[1]) : -1;
    size_t size;
    if (start < 0)
        return 2;
    while (scanf("%4095s %4095s %zu %ld %ld", stream, day_file, &size, &period, &offset) == 5) {
        unsigned char *given = malloc(size), *held = malloc(size), *zeros = calloc(1, size), *ones = malloc(size);
        FILE *source = fopen(stream, "rb");
        if (!given || !held || !zeros || !ones || !source)
            stop(stream);
        memset(ones, 0xFF, size);
        make_day_file(day_file, size, (SECONDS_A_DAY + period - 1) / period);
        while (fread(given, size, 1, source) == 1) {
            const unsigned char *at = given + offset;
            long second = (long)((uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]);
            counts[put(day_file, given, size, (second - start) / period, held, zeros, ones)]++;
        }
        fclose(source);
        free(given);
        free(held);
        free(zeros);
        free(ones);
    }
    printf("%ld %ld %ld %ld\n", counts[0], counts[1], counts[2], counts[3]);
    return 0;
}
