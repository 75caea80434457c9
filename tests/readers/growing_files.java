// Read a segment of a growing table with Arrow Java, again and again, and check every value.
//
//     java -cp 'build/readers/java/*' --add-opens=java.base/java.nio=ALL-UNNAMED growing_files.java COUNT FOLDER

import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Objects;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.vector.BigIntVector;
import org.apache.arrow.vector.BitVector;
import org.apache.arrow.vector.FieldVector;
import org.apache.arrow.vector.Float8Vector;
import org.apache.arrow.vector.IntVector;
import org.apache.arrow.vector.ipc.ArrowFileReader;

class GrowingFiles {
    static int check(ArrowFileReader reader, long base) throws Exception {
        var table = reader.getVectorSchemaRoot();
        reader.loadNextBatch();
        var number = (BigIntVector) table.getVector("number");
        var real = (Float8Vector) table.getVector("real");
        var flag = (BitVector) table.getVector("flag");
        var text = table.getVector("text");
        var kind = (IntVector) table.getVector("kind");
        FieldVector kinds = reader.lookup(kind.getField().getDictionary().getId()).getVector();
        for (int row = 0; row < table.getRowCount(); row++) {
            long n = (base + row) % 8192;
            boolean isNull = n % 7 == 3;
            Object[] wanted = {
                base + row, isNull ? null : n * 0.5, n % 3 == 0, isNull ? null : "ä".repeat((int) (n % 5)) + n,
                n % 13 == 1 ? null : "kind " + n / 9 % 60
            };
            Object code = kind.getObject(row);
            Object[] found = {
                number.getObject(row), real.getObject(row), flag.getObject(row),
                text.isNull(row) ? null : text.getObject(row).toString(),
                code == null ? null : kinds.getObject((Integer) code).toString()
            };
            for (int i = 0; i < wanted.length; i++) {
                if (!Objects.equals(found[i], wanted[i])) {
                    throw new IllegalStateException("row " + (base + row) + ": " + found[i] + ", not " + wanted[i]);
                }
            }
        }
        return table.getRowCount();
    }

    public static void main(String[] arguments) throws Exception {
        int count = Integer.parseInt(arguments[0]), right = 0, wrong = 0;
        var folder = Path.of(arguments[1]);
        var sizes = new HashSet<String>();
        String first = "";
        try (var allocator = new RootAllocator()) {
            while (right + wrong < count) {
                String name;
                try (var files = Files.list(folder)) {
                    name = files.map(file -> file.getFileName().toString())
                        .filter(file -> file.matches("\\d.*\\.arrow")).sorted().reduce((a, b) -> b).get();
                }
                try (var file = FileChannel.open(folder.resolve(name)); var reader = new ArrowFileReader(file, allocator)) {
                    sizes.add(name + check(reader, Long.parseLong(name.substring(0, 20))));
                    right++;
                } catch (NoSuchFileException error) {
                    continue; // retention was faster
                } catch (Exception error) {
                    wrong++;
                    first = first.isEmpty() ? error.toString() : first;
                }
            }
        }
        first = first.replaceAll("[\"\\\\\\n]", " ");
        System.out.printf("{\"right\": %d, \"wrong\": %d, \"sizes\": %d, \"first\": \"%s\"}%n", right, wrong, sizes.size(), first);
    }
}
