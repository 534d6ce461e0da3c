/*
 * A message's file in its wire form, in one pass, and how many octets that has (RFC 1939, sections 3 and 11).
 *
 * wire_in_python.py says what the functions return; its own are used where this module could not be compiled. It
 * needs nothing but the limited API of Python 3.11, so one build serves every later version.
 */
#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

_Static_assert(sizeof(off_t) == sizeof(long long), "a position beyond 2 GiB would be another one");

/* Octets whose counts fit into an unsigned char each: so the compiler counts 16 or 32 octets at a time. */
#define BLOCK 240

struct tally {
    size_t bare, dots, returns; /* LFs without a CR before them and dots that begin a line: both get an octet; CRs */
};

/* Count `count` octets; there is one before them, which each looks back at. */
static void count_block(const unsigned char *octets, size_t count, struct tally *tally)
{
    const unsigned char *before = octets - 1;
    unsigned char bare = 0, dots = 0, returns = 0;

    for (size_t i = 0; i < count; i++) {
        bare += (octets[i] == '\n') & (before[i] != '\r');
        dots += (octets[i] == '.') & (before[i] == '\n');
        returns += octets[i] == '\r';
    }
    tally->bare += bare;
    tally->dots += dots;
    tally->returns += returns;
}

static struct tally tally_of(const char *content, size_t count)
{
    struct tally tally = {0, 0, 0};

    for (; count > BLOCK; count -= BLOCK, content += BLOCK)
        count_block((const unsigned char *)content, BLOCK, &tally);
    count_block((const unsigned char *)content, count, &tally);
    return tally;
}

/* Write `content` as wire lines; return their end. There is room for what `tally_of` has counted. */
static char *put_lines(char *to, const char *content, size_t count, char before)
{
    const char *end = content + count;

    while (content < end) {
        const char *feed = memchr(content, '\n', end - content);
        size_t length = (feed != NULL ? feed : end) - content;

        if (before == '\n' && *content == '.')
            *to++ = '.';
        memcpy(to, content, length);
        to += length;
        if (length > 0)
            before = content[length - 1];
        if (feed == NULL)
            break;
        if (before != '\r')
            *to++ = '\r';
        *to++ = before = '\n';
        content = feed + 1;
    }
    return to;
}

static PyObject *wire_of(const char *content, size_t count, char before, int is_last, struct tally tally)
{
    char last = count > 0 ? content[count - 1] : before;
    const char *end = !is_last ? "" : last == '\n' ? ".\r\n" : "\r\n.\r\n";
    PyObject *wire = PyBytes_FromStringAndSize(NULL, count + tally.bare + tally.dots + strlen(end));

    if (wire != NULL)
        memcpy(put_lines(PyBytes_AsString(wire), content, count, before), end, strlen(end));
    return wire;
}

/* Read and count a part of a file. Return it with `before` in front, for `free`; or NULL, with an exception set. */
static char *read_part(int descriptor, long long position, Py_ssize_t count, int flags, char before,
                       Py_ssize_t *length, struct tally *tally)
{
    char *part = count < 0 ? NULL : malloc((size_t)count + 1);

    if (part == NULL)
        return (char *)PyErr_NoMemory();
    part[0] = before;
    struct iovec content = {part + 1, count};
    do {
        Py_BEGIN_ALLOW_THREADS
        /* Without flags as os.pread, which every kernel and every sandbox has. */
        *length = count == 0 ? 0 : flags == 0 ? pread(descriptor, part + 1, count, position)
                                              : preadv2(descriptor, &content, 1, position, flags);
        if (*length >= 0)
            *tally = tally_of(part + 1, *length);
        Py_END_ALLOW_THREADS
        if (*length >= 0)
            return part;
    } while (errno == EINTR && PyErr_CheckSignals() == 0);
    if (!PyErr_Occurred())
        PyErr_SetFromErrno(PyExc_OSError);
    free(part);
    return NULL;
}

static PyObject *read_wire(PyObject *module, PyObject *arguments)
{
    int descriptor, flags, before, is_last, is_plain;
    long long position;
    Py_ssize_t count, length;
    struct tally tally;

    if (!PyArg_ParseTuple(arguments, "iLniipp:read_wire", &descriptor, &position, &count, &flags, &before,
                          &is_last, &is_plain))
        return NULL;
    char *part = read_part(descriptor, position, count, flags, before, &length, &tally);
    if (part == NULL)
        return NULL;
    PyObject *wire = length < count ? Py_NewRef(Py_None) : wire_of(part + 1, count, before, is_last, tally);
    free(part);
    return wire;
}

static PyObject *count_wire(PyObject *module, PyObject *arguments)
{
    int descriptor, before;
    long long position;
    Py_ssize_t count, length;
    struct tally tally;

    if (!PyArg_ParseTuple(arguments, "iLni:count_wire", &descriptor, &position, &count, &before))
        return NULL;
    char *part = read_part(descriptor, position, count, 0, before, &length, &tally);
    if (part == NULL)
        return NULL;
    int last = (unsigned char)part[length];
    free(part);
    PyObject *is_plain = PyBool_FromLong(tally.returns == 0 && tally.dots == 0);
    return Py_BuildValue("nniN", length, length + (Py_ssize_t)tally.bare, last, is_plain);
}

static PyMethodDef functions[] = {
    {"read_wire", read_wire, METH_VARARGS, NULL}, {"count_wire", count_wire, METH_VARARGS, NULL}, {NULL, NULL, 0, NULL}
};

/* The SHA-256 of this file, from hatch_build.py: `wire.py` refuses what was compiled from another one. */
static int add_digest(PyObject *module)
{
    return PyModule_AddStringConstant(module, "SOURCE_DIGEST", SOURCE_DIGEST);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, add_digest}, {0, NULL}};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_wire", NULL, 0, functions, slots, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__wire(void)
{
    return PyModuleDef_Init(&definition);
}
