import java.io.File;
import java.io.FileInputStream;
import java.util.Collections;
import java.util.HashSet;
import java.util.Set;
import org.codehaus.mojo.animal_sniffer.ClassListBuilder;
import org.codehaus.mojo.animal_sniffer.SignatureChecker;
import org.codehaus.mojo.animal_sniffer.logging.PrintWriterLogger;

/** java ApiLevel.java SIGNATURES FOLDER...: what the classes in the folders use and the signatures do not have. Exit status 1 where there is any. */
public final class ApiLevel {
    public static void main(String[] arguments) throws Exception {
        PrintWriterLogger logger = new PrintWriterLogger(System.out);
        ClassListBuilder own = new ClassListBuilder(logger);
        for (int i = 1; i < arguments.length; ++i) own.process(new File(arguments[i]));
        Set<String> ignored = new HashSet<>(own.getPackages());
        ignored.add("kotlin.*");
        ignored.add("kotlinx.coroutines.*");
        boolean broken = false;
        for (int i = 1; i < arguments.length; ++i) {
            SignatureChecker checker = new SignatureChecker(new FileInputStream(arguments[0]), ignored, logger);
            checker.setSourcePath(Collections.<File>emptyList());
            checker.process(new File(arguments[i]));
            broken |= checker.isSignatureBroken();
        }
        System.exit(broken ? 1 : 0);
    }
}
