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
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

/* Octets whose counts fit into an unsigned char each: so the compiler counts 16 or 32 octets at a time. */
#define BLOCK 240

struct tally {
    size_t bare;     /* line feeds without a CR before them: each becomes two octets */
    size_t dots;     /* dots that begin a line: each is doubled */
    size_t returns;
};

/* Count the octets from `first` on; each looks at the one before it. */
static void count_block(const unsigned char *octets, size_t first, size_t count, struct tally *tally)
{
    unsigned char bare = 0, dots = 0, returns = 0;

    for (size_t i = first; i < first + count; i++) {
        bare += (octets[i] == '\n') & (octets[i - 1] != '\r');
        dots += (octets[i] == '.') & (octets[i - 1] == '\n');
        returns += octets[i] == '\r';
    }
    tally->bare += bare;
    tally->dots += dots;
    tally->returns += returns;
}

static struct tally tally_of(const char *content, size_t count, char before)
{
    struct tally tally = {0, 0, 0};
    size_t i = 1;

    if (count == 0)
        return tally;
    tally.bare = content[0] == '\n' && before != '\r';
    tally.dots = content[0] == '.' && before == '\n';
    tally.returns = content[0] == '\r';
    for (; i + BLOCK <= count; i += BLOCK)
        count_block((const unsigned char *)content, i, BLOCK, &tally);
    count_block((const unsigned char *)content, i, count - i, &tally);
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

static PyObject *read_wire(PyObject *module, PyObject *arguments)
{
    int descriptor, flags, before, is_last, is_plain;
    long long position;
    Py_ssize_t count;
    ssize_t length = 0;
    struct tally tally;
    PyObject *wire = NULL;

    if (!PyArg_ParseTuple(arguments, "iLniipp:read_wire", &descriptor, &position, &count, &flags, &before,
                          &is_last, &is_plain))
        return NULL;
    if (count < 0)
        return PyErr_Format(PyExc_ValueError, "a negative count");
    struct iovec content = {malloc((size_t)count + 1), count};
    if (content.iov_base == NULL)
        return PyErr_NoMemory();
    Py_BEGIN_ALLOW_THREADS
    if (count > 0)
        length = preadv2(descriptor, &content, 1, position, flags);
    if (length == count)
        tally = tally_of(content.iov_base, count, before);
    Py_END_ALLOW_THREADS
    if (length < 0)
        PyErr_SetFromErrno(PyExc_OSError);
    else if (length < count)
        wire = Py_NewRef(Py_None);
    else
        wire = wire_of(content.iov_base, count, before, is_last, tally);
    free(content.iov_base);
    return wire;
}

static PyObject *count_wire(PyObject *module, PyObject *arguments)
{
    const char *content;
    Py_ssize_t count;
    int before;
    struct tally tally;

    if (!PyArg_ParseTuple(arguments, "y#i:count_wire", &content, &count, &before))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    tally = tally_of(content, count, before);
    Py_END_ALLOW_THREADS
    return Py_BuildValue("nN", count + tally.bare, PyBool_FromLong(tally.returns == 0 && tally.dots == 0));
}

static PyMethodDef functions[] = {
    {"read_wire", read_wire, METH_VARARGS, "See wire_in_python.py."},
    {"count_wire", count_wire, METH_VARARGS, "See wire_in_python.py."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_wire", NULL, 0, functions, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__wire(void)
{
    return PyModuleDef_Init(&definition);
}
