"""The functions of `vectors` for compiled kernels: each builds the vector instructions of LLVM, the compiler behind Numba.

A function here is handed types first; it returns the signature, and `build`, which writes the instructions.
"""

import operator

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import PrimitiveModel
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, register_model
from numba.np.arrayobj import make_array

from isbe_np.compiler.jit import jit
from isbe_np.compiler.target import registers

I32, I64 = ir.IntType(32), ir.IntType(64)
BYTES, REGISTERS = registers()


class Vector(types.Type):
    """Numba's type of a vector: `lanes` numbers, or true and false, of `dtype`."""

    def __init__(self, dtype, lanes):
        self.dtype, self.lanes = dtype, lanes
        super().__init__(f"Vector({dtype}, {lanes})")


@register_model(Vector)
class VectorModel(PrimitiveModel):
    """A vector is one of LLVM's, which spreads it over as many registers as it needs."""

    def __init__(self, manager, kind):
        numbers = {types.float32: ir.FloatType(), types.float64: ir.DoubleType(), types.boolean: ir.IntType(1)}
        number = numbers.get(kind.dtype) or ir.IntType(kind.dtype.bitwidth)
        super().__init__(manager, kind, ir.VectorType(number, kind.lanes))


@infer_global(operator.add)
@infer_global(operator.iadd)
class _Sum(AbstractTemplate):
    def generic(self, arguments, _):
        a, b = arguments
        return signature(a, a, b) if isinstance(a, Vector) and a == b else None


@infer_global(operator.mul)
class _Product(AbstractTemplate):
    def generic(self, arguments, _):
        a, v = arguments
        return signature(v, v if isinstance(a, Vector) else v.dtype, v) if isinstance(v, Vector) else None


@lower_builtin(operator.add, Vector, Vector)
@lower_builtin(operator.iadd, Vector, Vector)
def _add(context, builder, sig, arguments):
    return builder.fadd(*arguments)


@lower_builtin(operator.mul, Vector, Vector)
def _multiply(context, builder, sig, arguments):
    return builder.fmul(*arguments)


@lower_builtin(operator.mul, types.Float, Vector)
def _scale(context, builder, sig, arguments):
    a, v = arguments
    return builder.fmul(_spread(builder, a, v.type), v)


def _spread(builder, a, kind):
    """A vector with `a` in every lane."""
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), a, ir.Constant(I32, 0))
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), ir.Constant(ir.VectorType(I32, kind.count), None))


def _alike(builder, arguments):
    """A vector and, as vectors of its kind, the numbers after it."""
    v = arguments[0]
    return [v, *(_spread(builder, a, v.type) for a in arguments[1:])]


def _lanes(like):
    """Number of lanes of a `like`: a vector, or the (vector, count) of `part`."""
    return like.lanes if isinstance(like, Vector) else like[0].lanes


def _count(builder, like, value):
    """Number of lanes that take part."""
    return ir.Constant(I64, like.lanes) if isinstance(like, Vector) else builder.extract_value(value, 1)


def _mask(builder, count, lanes):
    """True in the first `count` lanes."""
    kind = ir.VectorType(I64, lanes)
    return builder.icmp_signed("<", ir.Constant(kind, list(range(lanes))), _spread(builder, count, kind))


def _place(context, builder, array, value, i, kind, count):
    """Address of x[i], x[i + 1], ...; outside of the array an IndexError, where bounds are checked."""
    x = make_array(array)(context, builder, value)
    if context.enable_boundscheck:
        outside = builder.or_(builder.icmp_signed("<", i, ir.Constant(I64, 0)),
                              builder.icmp_signed(">", builder.add(i, count), x.nitems))
        with builder.if_then(outside, likely=False):
            context.call_conv.return_user_exc(builder, IndexError, ("a vector reaches beyond its array",))
    return builder.bitcast(builder.gep(x.data, [i]), kind.as_pointer())


def _call(builder, name, kind, result, arguments, **options):
    """Call LLVM's own function `name` for vectors of a kind."""
    function = ir.FunctionType(result, [argument.type for argument in arguments])
    name = f"llvm.{name}.v{kind.count}{kind.element.intrinsic_name}"
    return builder.call(cgutils.get_or_insert_function(builder.module, function, name), arguments, **options)


@intrinsic
def load(_, x, i, like):
    """x[i], x[i + 1], ... of flat x; lanes that take no part are 0."""
    result = Vector(x.dtype, _lanes(like))

    def build(context, builder, sig, arguments):
        kind, count, align = context.get_value_type(result), _count(builder, like, arguments[2]), x.dtype.bitwidth // 8
        place = _place(context, builder, x, arguments[0], arguments[1], kind, count)
        if isinstance(like, Vector):
            return builder.load(place, align=align)
        mask, empty = _mask(builder, count, kind.count), ir.Constant(kind, None)
        return _call(builder, "masked.load", kind, kind, [place, ir.Constant(I32, align), mask, empty])
    return result(x, types.intp, like), build


@intrinsic
def store(_, y, i, v, like):
    """y[i], y[i + 1], ... = v for flat y, in the lanes that take part."""
    def build(context, builder, sig, arguments):
        value, kind, align = arguments[2], arguments[2].type, y.dtype.bitwidth // 8
        count = _count(builder, like, arguments[3])
        place = _place(context, builder, y, arguments[0], arguments[1], kind, count)
        if isinstance(like, Vector):
            builder.store(value, place, align=align)
        else:
            mask = _mask(builder, count, kind.count)
            _call(builder, "masked.store", kind, ir.VoidType(), [value, place, ir.Constant(I32, align), mask])
        return context.get_dummy_value()
    return types.void(y, types.intp, v, like), build


@intrinsic
def at(_, x, i):
    """x[i] of flat x, for i not below 0."""
    def build(context, builder, sig, arguments):
        kind = context.get_value_type(x.dtype)
        return builder.load(_place(context, builder, x, arguments[0], arguments[1], kind, ir.Constant(I64, 1)))
    return x.dtype(x, types.intp), build


@intrinsic
def filled(_, a, like):
    """The number `a` in every lane."""
    result = Vector(a, _lanes(like))

    def build(context, builder, sig, arguments):
        return _spread(builder, arguments[0], context.get_value_type(result))
    return result(a, like), build


@intrinsic
def clipped(_, v, low, high):
    """Each number of v limited to low..high; NaN stays NaN."""
    def build(context, builder, sig, arguments):
        v, low, high = _alike(builder, arguments)
        v = builder.select(builder.fcmp_ordered("<", v, low), low, v)
        return builder.select(builder.fcmp_ordered(">", v, high), high, v)
    return v(v, v.dtype, v.dtype), build


@intrinsic
def greater(_, v, u):
    """Where v > u, or v is NaN and u is not."""
    def build(context, builder, sig, arguments):
        v, u = arguments
        return builder.and_(builder.fcmp_unordered(">", v, u), builder.fcmp_ordered("ord", u, u))
    return Vector(types.boolean, v.lanes)(v, v), build


@intrinsic
def between(_, v, low, high):
    """Where low < v < high, or v is NaN."""
    def build(context, builder, sig, arguments):
        v, low, high = _alike(builder, arguments)
        return builder.and_(builder.fcmp_unordered(">", v, low), builder.fcmp_unordered("<", v, high))
    return Vector(types.boolean, v.lanes)(v, v.dtype, v.dtype), build


@intrinsic
def equals(_, v, a):
    """Where the whole numbers v are a."""
    def build(context, builder, sig, arguments):
        return builder.icmp_unsigned("==", arguments[0], _spread(builder, arguments[1], arguments[0].type))
    return Vector(types.boolean, v.lanes)(v, v.dtype), build


@intrinsic
def choose(_, mask, v, u):
    """v where the mask is true, u elsewhere."""
    def build(context, builder, sig, arguments):
        return builder.select(*arguments)
    return v(mask, v, v), build


@intrinsic
def totals(_, vectors):
    """The sum of the numbers of each vector of a tuple.

    For as many vectors as one has lanes: half of each is exchanged with half of another and the two halves are added, which
    leaves half as many vectors, each with the sums of two; so again, until one vector holds all the sums. Adding up each vector
    by itself would take three times the instructions.
    """
    kind, count = vectors[0], len(vectors)

    def build(context, builder, sig, arguments):
        given = cgutils.unpack_tuple(builder, arguments[0], count)
        given += [ir.Constant(given[0].type, None)] * (-count % kind.lanes)
        sums = []
        for first in range(0, count, kind.lanes):
            group, half = given[first:first + kind.lanes], kind.lanes // 2
            while half:
                group = [builder.fadd(*_exchanged(builder, group[r], group[r + half], half)) for r in range(half)]
                half //= 2
            sums += [builder.extract_element(group[0], ir.Constant(I32, n)) for n in range(kind.lanes)]
        return context.make_tuple(builder, sig.return_type, sums[:count])
    return types.UniTuple(kind.dtype, count)(vectors), build


def _exchanged(builder, a, b, half):
    """a and b with stretches of `half` lanes exchanged: the second, fourth ... of a with the first, third ... of b."""
    lanes = range(a.type.count)
    masks = [n + len(lanes) - half if n & half else n for n in lanes], [n + len(lanes) if n & half else n + half for n in lanes]
    return [builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(I32, len(lanes)), mask)) for mask in masks]


@intrinsic
def turn(_, x, i, across, y, j, down):
    """Transpose a square of as many rows and columns as a register has lanes: y[j + r down + c] = x[i + c across + r].

    Half of each row is exchanged with half of another, then quarters, eighths and so on: a register's worth at a time.
    """
    count = BYTES * 8 // x.dtype.bitwidth
    vector = Vector(x.dtype, count)

    def build(context, builder, sig, arguments):
        x_value, i, across, y_value, j, down = arguments
        kind, align, size = context.get_value_type(vector), x.dtype.bitwidth // 8, ir.Constant(I64, count)

        def place(array, value, start, step, r):
            at = builder.add(start, builder.mul(step, ir.Constant(I64, r)))
            return _place(context, builder, array, value, at, kind, size)
        rows = [builder.load(place(x, x_value, i, across, r), align=align) for r in range(count)]
        half = count // 2
        while half:
            for r in range(count):
                if not r & half:
                    rows[r], rows[r + half] = _exchanged(builder, rows[r], rows[r + half], half)
            half //= 2
        for r in range(count):
            builder.store(rows[r], place(y, y_value, j, down, r), align=align)
        return context.get_dummy_value()
    return types.void(x, types.intp, types.intp, y, types.intp, types.intp), build


def _zeros(registers):
    @intrinsic
    def zeros(_, x):
        result = Vector(x.dtype, registers * BYTES * 8 // x.dtype.bitwidth)

        def build(context, builder, sig, arguments):
            return ir.Constant(context.get_value_type(result), None)
        return result(x), build
    return zeros


wide, narrow = _zeros(REGISTERS), _zeros(1)


@intrinsic
def lanes(_, like):
    """Number of lanes."""
    def build(context, builder, sig, arguments):
        return ir.Constant(I64, _lanes(like))
    return types.intp(like), build


@jit
def part(x, count):
    """One register's lanes, of which the first `count` take part."""
    return narrow(x), count
