#!/usr/bin/python3
"""Check ONNX files with onnx's own checker (Debian: python3-onnx): full check with shape inference, symbolic batch, no
initializer among the inputs. Prints "N passed, M failed"; exit 77 when python3-onnx is not installed."""
import sys

try:
    import onnx
except ImportError:
    print("skipped: python3-onnx is not installed (apt-get install python3-onnx)")
    sys.exit(77)


def check(path):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    graph = inferred.graph
    assert model.ir_version == 8 and model.producer_name == "webstill"
    assert 13 <= model.opset_import[0].version <= 17
    assert [value.name for value in graph.input] == ["input"], "initializers must not be inputs"
    assert [value.name for value in graph.output] == ["logits"]
    for value in (graph.input[0], graph.output[0]):
        assert value.type.tensor_type.shape.dim[0].dim_param == "N", "the batch must stay symbolic"
    for tensor in graph.initializer:
        assert tensor.HasField("raw_data") and not tensor.float_data, f"{tensor.name} is not raw"


def main():
    passed = failed = 0
    for path in sys.argv[1:]:
        try:
            check(path)
            passed += 1
        except Exception as error:  # every kind of refusal counts as one
            print(f"FAILED  {path}: {error}")
            failed += 1
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
