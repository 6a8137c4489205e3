// The native core as Python sees it. Every kernel runs without the GIL.

#include <pybind11/pybind11.h>

#include <exception>

#include "bind_bls.h"
#include "bind_encoding.h"
#include "bind_fold.h"
#include "bind_inversion.h"
#include "bind_merkle.h"
#include "bind_points.h"
#include "bind_scalars.h"
#include "bind_sumcheck.h"
#include "zkpfl/errors.h"

namespace zkpfl::bindings {

namespace {

void raise(const char* error_class, const char* message) {
  const py::object type = py::module_::import("zkpfl.errors").attr(error_class);
  PyErr_SetObject(type.ptr(), type(message).ptr());
}

void translate(std::exception_ptr exception) {
  try {
    if (exception) std::rethrow_exception(exception);
  } catch (const InvalidScalar& error) {
    raise("InvalidScalar", error.what());
  } catch (const InvalidPoint& error) {
    raise("InvalidPoint", error.what());
  } catch (const InvalidEncoding& error) {
    raise("InvalidEncoding", error.what());
  } catch (const InvalidUpdate& error) {
    raise("InvalidUpdate", error.what());
  }
}

}  // namespace

PYBIND11_MODULE(_core, m) {
  m.doc() = "Native kernels of zkPFL; used only by zkpfl.crypto.";
  py::register_local_exception_translator(&translate);
  bind_scalars(m);
  bind_points(m);
  bind_encoding(m);
  bind_merkle(m);
  bind_fold(m);
  bind_sumcheck(m);
  bind_inversion(m);
  bind_bls(m);
  bind_eip2537(m);
}

}  // namespace zkpfl::bindings
