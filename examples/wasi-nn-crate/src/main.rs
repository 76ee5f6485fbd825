//! Classifies a made-up picture with the public crate `wasi-nn`, unchanged. Argument: the name of the digits model.
use wasi_nn::{ExecutionTarget, GraphBuilder, GraphEncoding, TensorType};

fn main() -> Result<(), wasi_nn::Error> {
    let model = std::env::args().nth(1).expect("the name of a model");
    let graph = GraphBuilder::new(GraphEncoding::Onnx, ExecutionTarget::CPU).build_from_cache(&model)?;
    let mut context = graph.init_execution_context()?;
    let image: Vec<f32> = (0..64).map(|i| (i % 16) as f32 / 16.0).collect();
    let mut scores = [0f32; 10];
    context.set_input(0, TensorType::F32, &[1, 1, 8, 8], &image)?;
    context.compute()?;
    let bytes = context.get_output(0, &mut scores)?;
    let best = (0..10).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap();
    println!("{bytes} bytes, sum is one: {}, most likely a {best}", (scores.iter().sum::<f32>() - 1.0).abs() < 1e-4);
    match GraphBuilder::new(GraphEncoding::Onnx, ExecutionTarget::CPU).build_from_cache("nobody") {
        Ok(_) => println!("an unknown name was accepted"),
        Err(error) => println!("an unknown name: {error}"),
    }
    Ok(())
}
